"""Recorded decoding steps: the same rows as without recording, in every family.

CUDA graphs need a GPU. Elsewhere torch's tracer takes their place: it keeps the kernels that a step
called and the tensors that these read and wrote, and calls them again. Whatever a step took from
the host is fixed in its trace, as it would be in a graph; and what a GPU cannot record is refused.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.fx.experimental.proxy_tensor import make_fx
from torch.utils._python_dispatch import TorchDispatchMode

from personae.api.requests import GenerateRequest, Sampling
from personae.inference.engine_errors import InterventionError
from personae.inference.intervention_buffers.stream_arithmetic import (
    DeviceTables,
    StepTokens,
    intervene_on,
)
from personae.inference.torch_engine import decoding, kv_cache, recorded_steps
from personae.inference.torch_engine.generation import GenerationResult
from personae.inference.torch_engine.model_loading import LoadedModel
from personae.inference.torch_engine.recorded_steps import Step, StepRecorder, step_recorder

from .asking import generate, generate_request, generate_rows, prompts
from .families import FAMILIES, load_tiny
from .streams import MIXED, VECTORS

WARM = Sampling(temperature=0.9, top_p=0.95, max_new_tokens=24)

# They wait for values on the device.
_WAITING = {
    torch.ops.aten._local_scalar_dense.default,
    torch.ops.aten.equal.default,
    torch.ops.aten.nonzero.default,
}
_FROM_HOST = torch.ops.aten.lift_fresh.default


class _LikeCapture(TorchDispatchMode):
    """Refuses what a stream refuses while it is captured."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        # A single number from the host becomes an argument of a kernel.
        if func in _WAITING or (func is _FROM_HOST and args[0].ndim):
            raise RuntimeError(f"{func} is not permitted when stream is capturing")
        return func(*args, **(kwargs or {}))


class Traces:
    """A recorder of traces, which counts them and their replays."""

    def __init__(self, act: Callable[..., None]) -> None:
        self.recorded, self.replayed = 0, 0
        self.recorder = StepRecorder(self._record, act)

    def _record(self, step: Step) -> Step:
        self.recorded += 1

        def captured() -> Tensor:
            with _LikeCapture():
                return step()

        trace = make_fx(captured)()

        def replay() -> Tensor:
            self.replayed += 1
            output: Tensor = trace()
            return output

        return replay


def _act(stream: Tensor, tables: DeviceTables, tokens: StepTokens, layer: int) -> None:
    """Do in place what the kernel does; no row has more than three interventions at a layer."""
    stream.copy_(intervene_on(stream, tables, tokens, layer, 3)[0])


@pytest.fixture
def traces() -> Traces:
    return Traces(_act)


@pytest.fixture(params=[16, None], ids=["a cache that grows", "a cache allocated once"])
def cache_step(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the cache grow by 16 slots, as on a CPU, or read it in steps, as on a GPU."""
    monkeypatch.setattr(recorded_steps, "_ROW_STEPS", 3)
    if request.param is None:
        geometry = kv_cache._Geometry
        monkeypatch.setattr(kv_cache, "_Geometry", lambda rows, room, _: geometry(rows, room, None))
        monkeypatch.setattr(kv_cache, "_READ_STEP", 16)


def _mixed(count: int = 20, sampling: Sampling = WARM) -> GenerateRequest:
    return generate_request(generate_rows(prompts(count), MIXED), sampling, VECTORS)


def _answers(results: list[GenerationResult]) -> list[tuple[Any, ...]]:
    return [(result.response_ids, result.finish_reason, result.fired) for result in results]


@pytest.fixture(scope="module")
def stopping() -> LoadedModel:
    """A model with so many stop tokens that rows leave and enter all the time."""
    return replace(load_tiny("llama3"), stop_ids=frozenset(range(0, 256, 20)))


@pytest.mark.parametrize("family", FAMILIES)
def test_a_mixed_batch_is_that_of_steps_without_recording(family: str, traces: Traces) -> None:
    loaded = load_tiny(family)
    sampling = WARM.model_copy(update={"max_new_tokens": 8})
    expected = generate(loaded, _mixed(9, sampling))
    found = generate(loaded, _mixed(9, sampling), recorder=traces.recorder)
    assert _answers(found) == _answers(expected)
    assert not traces.recorder.failed
    assert traces.replayed >= 3


@pytest.mark.usefixtures("cache_step")
def test_rows_that_enter_and_leave_are_those_without_recording(
    stopping: LoadedModel, traces: Traces
) -> None:
    expected = generate(stopping, _mixed(24), 500)
    found = generate(stopping, _mixed(24), 500, recorder=traces.recorder)
    assert _answers(found) == _answers(expected)
    assert {result.finish_reason for result in found} == {"stop", "length"}
    assert traces.replayed > traces.recorded > 2


def test_logits_are_those_without_recording(
    stopping: LoadedModel, traces: Traces, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every logit of every step, as tokens alone would hide most errors."""
    kept: list[Tensor] = []
    draw = decoding.draw

    def watched(logits: Tensor, *arguments: Any) -> Tensor:
        kept.append(logits.clone())
        return draw(logits, *arguments)

    monkeypatch.setattr(decoding, "draw", watched)
    generate(stopping, _mixed())
    expected, kept[:] = list(kept), []
    generate(stopping, _mixed(), recorder=traces.recorder)
    assert traces.replayed
    for ours, theirs in zip(kept, expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=2e-5)


def test_a_recording_whose_interventions_are_lost_is_not_used(
    stopping: LoadedModel, caplog: pytest.LogCaptureFixture
) -> None:
    traces = Traces(lambda stream, tables, tokens, layer: None)
    with caplog.at_level(logging.WARNING):
        found = generate(stopping, _mixed(), recorder=traces.recorder)
    assert _answers(found) == _answers(generate(stopping, _mixed()))
    assert traces.recorder.failed
    assert "not recorded as CUDA graphs: interventions were counted differently" in caplog.text
    assert traces.recorded == 1, "it is not tried again"
    again = generate(stopping, _mixed(), recorder=traces.recorder)
    assert _answers(again) == _answers(found)
    assert traces.recorded == 1


def _negates(stream: Tensor, tables: DeviceTables, tokens: StepTokens, layer: int) -> None:
    _act(stream, tables, tokens, layer)
    stream.mul_(-1)


def _has_no_triton(*_: Any) -> None:
    raise ModuleNotFoundError("No module named 'triton'")


@pytest.mark.parametrize(
    ("act", "said"),
    [(_negates, "logits differ by"), (_has_no_triton, "No module named 'triton'")],
)
def test_a_recording_that_does_otherwise_or_fails_is_not_used(
    stopping: LoadedModel, caplog: pytest.LogCaptureFixture, act: Callable[..., None], said: str
) -> None:
    traces = Traces(act)
    with caplog.at_level(logging.WARNING):
        found = generate(stopping, _mixed(), recorder=traces.recorder)
    assert _answers(found) == _answers(generate(stopping, _mixed()))
    assert f"not recorded as CUDA graphs: {said}" in caplog.text


def test_a_step_that_waits_for_the_device_is_computed_without_recording(
    stopping: LoadedModel, traces: Traces, caplog: pytest.LogCaptureFixture
) -> None:
    def waits(module: Any, args: Any, output: Any) -> None:
        assert output[0].abs().max() > 0

    handle = stopping.blocks[1].register_forward_hook(waits)
    try:
        with caplog.at_level(logging.WARNING):
            found = generate(stopping, _mixed(), recorder=traces.recorder)
    finally:
        handle.remove()
    assert _answers(found) == _answers(generate(stopping, _mixed()))
    assert traces.recorder.failed
    assert "_local_scalar_dense" in caplog.text


def test_interventions_that_stop_acting_in_a_recording_are_an_error(
    stopping: LoadedModel, traces: Traces
) -> None:
    """Only the first recording is compared; the counts of all are verified."""
    traces.recorder.checked = True
    traces.recorder.act = lambda stream, tables, tokens, layer: None
    with pytest.raises(InterventionError, match=r"acted at \d+ positions of a row, not at"):
        generate(stopping, _mixed(), recorder=traces.recorder)


def test_memory_that_runs_out_while_recording_halves_the_batch(stopping: LoadedModel) -> None:
    tried: list[int] = []

    def greedy(step: Step) -> Step:
        tried.append(len(step()))
        if len(tried) == 1:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return step

    recorder = StepRecorder(greedy, _act)
    found = generate(stopping, _mixed(), recorder=recorder)
    assert _answers(found) == _answers(generate(stopping, _mixed()))
    assert not recorder.failed
    assert tried[:2] == [18, 10]


def test_without_a_gpu_nothing_is_recorded(stopping: LoadedModel) -> None:
    assert step_recorder(stopping) is None


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
@pytest.mark.parametrize("family", FAMILIES)
def test_graphs_on_a_gpu_give_the_rows_without_them(family: str) -> None:
    loaded = load_tiny(family, device="cuda")
    recorder = step_recorder(loaded)
    assert recorder is not None
    expected = generate(loaded, _mixed(9))
    assert _answers(generate(loaded, _mixed(9), recorder=recorder)) == _answers(expected)
    assert recorder.checked
