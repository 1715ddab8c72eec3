"""Choose and load the engine of a model server: torch or vLLM."""

from __future__ import annotations

import gc
import logging
from collections.abc import Callable
from importlib.util import find_spec
from typing import TYPE_CHECKING, Literal, NamedTuple

from personae.api.requests import EngineSpec
from personae.inference.engine_errors import ModelError

if TYPE_CHECKING:
    from personae.inference.server.backend import Backend

LOG = logging.getLogger(__name__)


class EngineChoice(NamedTuple):
    """The engine to load, and why it is this one."""

    kind: Literal["torch", "vllm"]
    why: str


def choose_engine(spec: EngineSpec) -> EngineChoice:
    """Resolve ``auto``: vLLM on CUDA devices where it is installed, else torch."""
    if spec.kind != "auto":
        return EngineChoice(spec.kind, "as asked")
    if find_spec("vllm") is None:
        return EngineChoice("torch", "vLLM is not installed")
    import torch

    if spec.device.startswith("cpu") or not torch.cuda.is_available():
        return EngineChoice("torch", "there is no CUDA device")
    return EngineChoice("vllm", "there are CUDA and vLLM")


def load_engine(spec: EngineSpec, report: Callable[[str], None]) -> Backend:
    """Load the engine that ``spec`` names.

    With ``auto``, a model that vLLM cannot run is run by torch; the log and the provenance of every
    table say which engine it was.

    Raises
    ------
    ModelError
        If the model cannot be loaded as asked.
    """
    choice = choose_engine(spec)
    LOG.info("engine: %s (%s)", choice.kind, choice.why)
    report(f"loading {spec.model} ({choice.kind})")
    if choice.kind == "vllm":
        from personae.inference.vllm_engine.vllm_backend import VllmEngine

        try:
            return VllmEngine(spec)
        except ModelError as error:
            if spec.kind != "auto":
                raise
            LOG.warning("engine: torch instead of vllm: %s", error)
        gc.collect()
    from personae.inference.torch_engine.engine import Engine

    return Engine(spec)
