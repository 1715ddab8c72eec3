"""vLLM with a compiled model, and with the kernel in place of the hooks' tensor operations."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch

from personae.api.requests import Sampling
from personae.inference.server.backend import Backend
from personae.inference.vllm_engine import graph_check, stream_site, vllm_loading
from personae.inference.vllm_engine.worker_extension import ExtendedWorker

from ..engine.asking import generate_request, generate_rows, prompts
from ..engine.streams import token_row
from .asking_engines import VECTORS, generate, means, tokens
from .conftest import TinyFamily, needs_vllm, vllm_spec
from .test_engine_kinds import IDS, MANY, N_PROMPT, WARM

pytestmark = [
    needs_vllm,
    pytest.mark.skipif(shutil.which("g++") is None, reason="there is no C++ compiler"),
]


@pytest.fixture(scope="module")
def tiny(family: Callable[[str], TinyFamily]) -> TinyFamily:
    return family("llama3")


@pytest.fixture(scope="module")
def torch_engine(tiny: TinyFamily, engine_of: Callable[[TinyFamily, str], Backend]) -> Backend:
    return engine_of(tiny, "torch")


def _compiled(tiny: TinyFamily, **settings: Any) -> Any:
    """Load an engine whose model vLLM compiles."""
    from personae.inference.vllm_engine.vllm_backend import VllmEngine

    return VllmEngine(vllm_spec(tiny.folder), **{"enforce_eager": False, **settings})


@pytest.fixture(scope="module")
def compiled(tiny: TinyFamily, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VLLM_CACHE_ROOT", str(tmp_path_factory.mktemp("cache")))
        yield _compiled(tiny)


def test_a_mixed_batch_of_a_compiled_model_is_the_torch_engines(
    compiled: Backend, torch_engine: Backend
) -> None:
    before = torch._dynamo.utils.counters["stats"]["unique_graphs"]
    assert before, "vLLM compiled the model"
    for sampling in (WARM, Sampling(temperature=1.0, top_p=1.0, max_new_tokens=9)):
        request = generate_request(generate_rows(prompts(9), MANY), sampling, VECTORS)
        ours, theirs = generate(compiled, request), generate(torch_engine, request)
        assert tokens(ours) == tokens(theirs)
        assert [result.fired for result in ours] == [result.fired for result in theirs]
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] == before
    plain = generate_request(generate_rows(prompts(9)), WARM)
    assert tokens(generate(compiled, plain)) == tokens(generate(torch_engine, plain))


def test_streams_of_a_compiled_model_are_the_torch_engines(
    compiled: Backend, torch_engine: Backend
) -> None:
    rows = [token_row(f"{i}", IDS, N_PROMPT, MANY.get(i, [])) for i in range(7)]
    ours, theirs = means(compiled, rows), means(torch_engine, rows)
    for key, expected in theirs.items():
        assert abs(ours[key] - expected).max() <= 1e-4 * abs(expected).max()


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let CPU workers use the kernel, interpreted, as if they recorded graphs."""
    monkeypatch.setenv("TRITON_INTERPRET", "1")
    monkeypatch.setattr(ExtendedWorker, "records", lambda self: True)


@pytest.mark.usefixtures("kernel")
def test_the_kernel_serves_a_mixed_batch_after_its_check(
    tiny: TinyFamily, torch_engine: Backend, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        engine = _compiled(tiny, enforce_eager=True)
    assert "vLLM replays CUDA graphs" in caplog.text
    request = generate_request(generate_rows(prompts(7), MANY), WARM, VECTORS)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stream_site, "act_by_step", None)  # the kernel alone
        ours = generate(engine, request)
    theirs = generate(torch_engine, request)
    assert tokens(ours) == tokens(theirs)
    assert [result.fired for result in ours] == [result.fired for result in theirs]
    rows = [token_row("x", IDS, N_PROMPT, MANY[6])]
    found, expected = means(engine, rows), means(torch_engine, rows)
    for key, true in expected.items():
        assert abs(found[key] - true).max() <= 1e-4 * abs(true).max()


@pytest.mark.usefixtures("kernel")
@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("scale", "logits of a steered row differ by"),
        ("nothing", "acted at 0 positions"),
    ],
)
def test_graphs_that_do_otherwise_are_not_replayed_and_the_log_says_so(
    tiny: TinyFamily,
    torch_engine: Backend,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    fault: str,
    said: str,
) -> None:
    from personae.inference.intervention_buffers import intervention_kernel

    def broken(hidden: Any, residual: Any, tables: Any, step: Any, layer: int) -> None:
        if fault == "scale":
            before = hidden.clone()
            run(hidden, residual, tables, step, layer)
            hidden += hidden - before

    run = intervention_kernel.run_kernel
    monkeypatch.setattr(intervention_kernel, "run_kernel", broken)
    with caplog.at_level(logging.WARNING):
        engine = _compiled(tiny, enforce_eager=True)
    assert "vLLM runs without CUDA graphs" in caplog.text
    assert said in caplog.text
    request = generate_request(generate_rows(prompts(7), MANY), WARM, VECTORS)
    assert tokens(generate(engine, request)) == tokens(generate(torch_engine, request))


def test_a_model_that_cannot_be_compiled_is_started_eagerly(
    tiny: TinyFamily, torch_engine: Backend, caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    start = vllm_loading._start

    def refuse(settings: dict[str, Any]) -> Any:
        if not settings["enforce_eager"]:
            raise vllm_loading.ModelError("vLLM cannot run m: no compiler")
        return start(settings)

    monkeypatch.setattr(vllm_loading, "_start", refuse)
    with caplog.at_level(logging.WARNING):
        engine = _compiled(tiny)
    assert "started without CUDA graphs: vLLM cannot run m: no compiler" in caplog.text
    request = generate_request(generate_rows(prompts(3), MANY), WARM, VECTORS)
    assert tokens(generate(engine, request)) == tokens(generate(torch_engine, request))


def test_the_check_wants_differences_far_below_what_interventions_do() -> None:
    reference = torch.zeros(2, 3, 5).numpy()
    reference[0] = 1.0
    assert not graph_check._difference(reference, reference + 0.05)
    assert graph_check._difference(reference, reference + 0.2)
    assert graph_check._difference(reference, reference * float("nan"))
