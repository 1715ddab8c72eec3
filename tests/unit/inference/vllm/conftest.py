"""Fixtures of the tests that compare engines: prepared tiny models, and an engine of each kind."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest
import torch

from personae.api.requests import EngineSpec
from personae.inference.server.backend import Backend
from personae.inference.torch_engine.engine import Engine
from personae.inference.torch_engine.model_loading import LoadedModel
from personae.inference.vllm_engine import vllm_loading
from personae.inference.vllm_engine.vllm_loading import vllm_version
from personae.inference.weights_manifest import ModelSource
from personae.inference.weights_preparation import prepare_model

from ..engine.asking import prompts, reference_greedy
from ..engine.families import WIDE, load_tiny

needs_vllm = pytest.mark.skipif(
    vllm_version() is None,
    reason="vLLM is not installed here; `make env ENGINE=vllm` makes an environment that has it",
)

# vLLM's CUDA build runs on GPUs only, and its CPU build on CPUs only.
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


def vllm_spec(folder: Path) -> EngineSpec:
    """Return the spec of an engine that leaves room for a dozen others."""
    return EngineSpec(model=str(folder), dtype="float32", device=DEVICE, gpu_share=0.05)


FAMILIES = ("llama3", "qwen3", "gemma2", "gemma3", "mistral")
TURNS = prompts(6)

# vLLM ties Gemma's embeddings whatever the config says.
SHAPES = {"gemma2": {**WIDE, "tie_word_embeddings": True}}


@dataclass(frozen=True)
class TinyFamily:
    """One family's tiny model: prepared, and in float64.

    ``greedy`` is what transformers' ``generate`` answers to `TURNS`.
    """

    name: str
    folder: Path
    exact: LoadedModel
    greedy: list[list[int]]


@pytest.fixture(scope="session", autouse=True)
def _no_compiler_processes() -> Iterator[None]:
    """Keep torch from starting a pool of compilers, which the tests do not use."""
    before = os.environ.get("TORCHINDUCTOR_COMPILE_THREADS")
    os.environ["TORCHINDUCTOR_COMPILE_THREADS"] = "1"
    yield
    if before is None:
        del os.environ["TORCHINDUCTOR_COMPILE_THREADS"]


@pytest.fixture(scope="session", autouse=True)
def _small_caches() -> Iterator[None]:
    """Give every engine a small cache: a dozen of them stay loaded at the same time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(vllm_loading, "_CPU_CACHE_BYTES", 2**27)
        yield


@pytest.fixture(scope="session")
def family(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], TinyFamily]:
    """Return a family's tiny model by name.

    All are made at once: when vLLM has been loaded, transformers' ``generate`` answers otherwise in
    the same process.
    """

    def prepared(name: str) -> TinyFamily:
        shape = SHAPES.get(name, WIDE)
        source, folder = tmp_path_factory.mktemp(name), tmp_path_factory.mktemp(f"{name}_prepared")
        saved = load_tiny(name, shape=shape)
        saved.model.save_pretrained(source)
        saved.tokenizer.save_pretrained(source)
        described = ModelSource(
            name=name, kind="chat", source="folder", id=str(source), revision="", license="none"
        )
        prepare_model(described, folder)
        greedy = [reference_greedy(saved, turn, 12) for turn in TURNS]
        return TinyFamily(name, folder, load_tiny(name, torch.float64, shape), greedy)

    made = {name: prepared(name) for name in FAMILIES}
    return made.__getitem__


@pytest.fixture(scope="session")
def engine_of() -> Callable[[TinyFamily, str], Backend]:
    """Return what loads an engine of a kind for a family, once."""

    @cache
    def loaded(folder: Path, kind: str) -> Backend:
        spec = vllm_spec(folder)
        if kind == "torch":
            return Engine(spec)
        from personae.inference.vllm_engine.vllm_backend import VllmEngine

        return VllmEngine(spec)

    return lambda family, kind: loaded(family.folder, kind)
