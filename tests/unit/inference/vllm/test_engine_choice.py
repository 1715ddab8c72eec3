"""The choice of the engine, and the message if the requested one cannot run."""

from __future__ import annotations

import logging

import pytest
import torch

from personae.api.requests import EngineSpec
from personae.base.errors import PersonaeError
from personae.inference import engine_choice
from personae.inference.engine_choice import choose_engine, load_engine
from personae.inference.engine_errors import ModelError
from personae.inference.torch_engine import engine as torch_engine
from personae.inference.vllm_engine import vllm_backend, vllm_loading
from personae.workflow.provenance import _refuse_mixed_engines


def _here(monkeypatch: pytest.MonkeyPatch, vllm: bool, cuda: bool) -> None:
    monkeypatch.setattr(engine_choice, "find_spec", lambda _: object() if vllm else None)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)


@pytest.mark.parametrize(
    ("vllm", "cuda", "device", "kind", "why"),
    [
        (True, True, "auto", "vllm", "there are CUDA and vLLM"),
        (True, True, "cuda:1", "vllm", "there are CUDA and vLLM"),
        (True, True, "cpu", "torch", "there is no CUDA device"),
        (True, False, "auto", "torch", "there is no CUDA device"),
        (False, True, "auto", "torch", "vLLM is not installed"),
    ],
)
def test_auto_takes_vllm_where_cuda_and_vllm_are(
    monkeypatch: pytest.MonkeyPatch, vllm: bool, cuda: bool, device: str, kind: str, why: str
) -> None:
    _here(monkeypatch, vllm, cuda)
    assert choose_engine(EngineSpec(model="m", device=device)) == (kind, why)


@pytest.mark.parametrize("kind", ["torch", "vllm"])
def test_a_named_engine_is_taken_whatever_is_here(
    monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    _here(monkeypatch, vllm=kind == "torch", cuda=kind == "torch")
    chosen = choose_engine(EngineSpec.model_validate({"model": "m", "kind": kind}))
    assert chosen == (kind, "as asked")


def test_without_vllm_one_line_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vllm_loading, "find_spec", lambda _: None)
    with pytest.raises(ModelError, match=r"^engine\.kind is vllm, but .* make env ENGINE=vllm"):
        load_engine(EngineSpec(model="m", kind="vllm"), lambda _: None)


def test_auto_falls_back_to_torch_where_vllm_cannot_run_the_model_and_the_log_says_so(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(spec: EngineSpec) -> None:
        raise ModelError("vLLM cannot run m: no such architecture")

    class Loaded:
        def __init__(self, spec: EngineSpec) -> None:
            self.spec = spec

    _here(monkeypatch, vllm=True, cuda=True)
    monkeypatch.setattr(vllm_backend, "VllmEngine", refuse)
    monkeypatch.setattr(torch_engine, "Engine", Loaded)
    with caplog.at_level(logging.INFO):
        engine = load_engine(EngineSpec(model="m"), lambda _: None)
    assert isinstance(engine, Loaded)
    assert "torch instead of vllm: vLLM cannot run m: no such architecture" in caplog.text
    with pytest.raises(ModelError, match="no such architecture"):
        load_engine(EngineSpec(model="m", kind="vllm"), lambda _: None)


def test_one_comparison_never_mixes_engines() -> None:
    ours = {"weights_digest": "a" * 64, "engine": "torch 2.13.0"}
    other = {"weights_digest": "b" * 64, "engine": "vllm 0.30.0"}
    _refuse_mixed_engines([ours, ours, other, {}])
    with pytest.raises(PersonaeError, match=r"^weights aaaaaaaaaaaa: torch and vllm made the"):
        _refuse_mixed_engines([ours, {**ours, "engine": "vllm 0.30.0"}])
