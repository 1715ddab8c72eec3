"""The operator in a compiled model, and the kernel: equal to the hooks' arithmetic and float64."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from importlib.util import find_spec
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from personae.inference.intervention_buffers.intervention_tables import build_tables
from personae.inference.intervention_buffers.step_buffers import Room, StepBuffers
from personae.inference.torch_engine.intervention_slots import PlanRow
from personae.inference.vllm_engine import intervention_op
from personae.inference.vllm_engine.block_hooks import hook_blocks
from personae.inference.vllm_engine.step_state import StepState, WorkerRequest
from personae.inference.vllm_engine.stream_site import StreamSite, act_by_step
from personae.inference.vllm_engine.vllm_job import _namespaces

from .arithmetic_cases import HIDDEN, PLAN, STEPS, VECTORS, TinyModel, as_step, exact

CPU = torch.device("cpu")
SITE = 1000


def _work(plan: list[PlanRow] = PLAN) -> WorkerRequest:
    tables = build_tables(TinyModel(), plan, VECTORS)
    n_prompt = np.array([row.n_prompt for row in plan], dtype=np.int32)
    return WorkerRequest(n_prompt, _namespaces(plan, tables.program), tables)


class _Block(nn.Module):
    """A block that carries the residual apart, as vLLM's do."""

    def __init__(self, apart: bool) -> None:
        super().__init__()
        self.linear, self.apart = nn.Linear(HIDDEN, HIDDEN), apart

    def forward(self, hidden: Tensor, residual: Tensor | None) -> Any:
        stream = hidden if residual is None else hidden + residual
        out = torch.tanh(self.linear(stream))
        return (out, stream.clone()) if self.apart else out + stream


class _Model(nn.Module):
    """Two blocks, and a sum of the stream's parts at the end."""

    def __init__(self, apart: bool) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layers, self.apart = nn.ModuleList(_Block(apart) for _ in range(2)), apart

    def forward(self, hidden: Tensor) -> Tensor:
        residual = None
        for block in self.layers:
            output = block(hidden, residual)
            hidden, residual = output if self.apart else (output, None)
        return hidden if residual is None else hidden + residual


BACKENDS = [
    "aot_eager",
    pytest.param(
        "inductor",
        marks=pytest.mark.skipif(shutil.which("g++") is None, reason="there is no C++ compiler"),
    ),
]


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("apart", [True, False])
def test_a_compiled_model_acts_as_the_buffers_say_and_is_compiled_once(
    backend: str, apart: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = _Model(apart)
    current: list[StepState | None] = [None]
    monkeypatch.setitem(intervention_op.SITES, SITE, StreamSite(lambda: current[0], None))
    plain = _Model(apart)
    hook_blocks(model.layers, SITE)
    torch._dynamo.reset()
    torch._dynamo.utils.counters.clear()
    compiled = torch.compile(model, fullgraph=True, dynamic=True, backend=backend)
    generator = torch.Generator().manual_seed(3)
    other = [PLAN[1], PlanRow([], 3), PlanRow(PLAN[2].interventions[1:], 4)]
    with torch.inference_mode():
        for plan in (PLAN, other):
            for step in STEPS:
                hidden = torch.randn(sum(step[2]), HIDDEN, generator=generator)
                eager, ours = (StepState(_work(plan), HIDDEN, CPU) for _ in range(2))
                results = []
                for state, run in ((eager, model), (ours, compiled)):
                    _announce_all(state, step)
                    current[0] = state
                    results.append(run(hidden.clone()))
                torch.testing.assert_close(results[1], results[0], atol=1e-5, rtol=1e-5)
                assert torch.equal(eager.tables.counts, ours.tables.counts)
                assert (results[0] - plain(hidden.clone())).abs().max() > 0.1
        current[0] = None
        torch.testing.assert_close(compiled(hidden.clone()), plain(hidden.clone()))
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] == 1
    assert not torch._dynamo.utils.counters["graph_break"]


def _announce_all(state: StepState, step: Any) -> None:
    """Announce a step in the middle of rows as the first one that there is."""
    rows, starts, lengths = as_step(step)
    state._progress.reach[rows] = starts
    state._progress.furthest[:] = 100
    state.at(rows, starts, lengths)


@pytest.fixture(scope="module")
def kernel() -> Iterator[ModuleType]:
    """The kernel, interpreted on the CPU where there is no CUDA device."""
    if find_spec("triton") is None:
        pytest.skip("Triton is not installed here; `make env ENGINE=vllm` brings it")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TRITON_INTERPRET", "1")
        from personae.inference.intervention_buffers import intervention_kernel

        yield intervention_kernel


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("apart", [True, False])
def test_the_kernel_is_the_hooks_arithmetic_and_float64s(
    kernel: ModuleType, dtype: torch.dtype, apart: bool
) -> None:
    buffers = StepBuffers(2, HIDDEN, 32, CPU, Room(8, 16, 8, 64))
    ours, theirs = StepState(_work(), HIDDEN, CPU, buffers), StepState(_work(), HIDDEN, CPU)
    assert ours.recordable
    for step in STEPS:
        rows, starts, lengths = as_step(step)
        ours.at(rows, starts, lengths)
        theirs.at(rows, starts, lengths)
        padded = sum(step[2]) + 3
        generator = torch.Generator().manual_seed(1)
        parts = torch.randn(2, padded, HIDDEN, generator=generator).to(dtype)
        for layer in range(2):
            hidden, residual = parts[0].clone(), parts[1].clone() if apart else None
            kernel.run_kernel(hidden, residual, buffers.tables, buffers.tokens, layer)
            expected = [parts[0].clone(), parts[1].clone() if apart else None]
            act_by_step(theirs, expected[0], expected[1], layer)
            bound = {torch.float32: 1e-5, torch.bfloat16: 0.04}[dtype]
            torch.testing.assert_close(hidden, expected[0], atol=bound, rtol=bound)
            assert residual is None or torch.equal(residual, expected[1])
            before = (parts.sum(0) if apart else parts[0]).double().numpy()
            place = 0
            for row, start, length in zip(*step, strict=True):
                for position in range(start, start + length):
                    after = hidden[place] if residual is None else hidden[place] + residual[place]
                    np.testing.assert_allclose(
                        after.double().numpy(),
                        exact(before[place], row, position, layer),
                        atol=1e-5 if dtype == torch.float32 else 0.06,
                    )
                    place += 1
            assert torch.equal(hidden[place:], parts[0, place:]), "padding keeps its values"
    counts = [[list(row.counts) for row in s.acted([0, 1, 2])] for s in (ours, theirs)]
    assert counts[0] == counts[1] == [[0, 0, 0], [6, 0, 0], [4, 2, 3]]


def test_nothing_acts_after_the_request_or_beyond_the_step(kernel: ModuleType) -> None:
    buffers = StepBuffers(2, HIDDEN, 32, CPU, Room(8, 16, 8, 64))
    state = StepState(_work(), HIDDEN, CPU, buffers)
    state.at(*as_step(((1,), (0,), (6,))))
    state.at(*as_step(((1,), (6,), (1,))))
    ones = torch.ones(6, HIDDEN)
    kernel.run_kernel(ones, None, buffers.tables, buffers.tokens, 0)
    assert (ones[0] != 1).all()
    assert (ones[1:] == 1).all()
    state.clear()
    ones = torch.ones(6, HIDDEN)
    kernel.run_kernel(ones, None, buffers.tables, buffers.tokens, 0)
    assert (ones == 1).all()


def test_tables_that_do_not_fit_are_computed_without_graphs() -> None:
    for room in (Room(2, 16, 8, 64), Room(8, 3, 8, 64), Room(8, 16, 2, 64), Room(8, 16, 8, 11)):
        state = StepState(_work(), HIDDEN, CPU, StepBuffers(2, HIDDEN, 32, CPU, room))
        assert not state.recordable
        state.at(*as_step(((1,), (0,), (6,))))
        ones = torch.ones(6, HIDDEN)
        act_by_step(state, ones, None, 0)
        assert (ones != 1).all()
    assert StepState(_work(), HIDDEN, CPU, StepBuffers(2, HIDDEN, 32, CPU, Room(3, 4, 3, 12)))


def test_a_second_request_finds_no_counts_of_the_first() -> None:
    buffers = StepBuffers(2, HIDDEN, 32, CPU, Room(8, 16, 8, 64))
    for _ in range(2):
        state = StepState(_work(), HIDDEN, CPU, buffers)
        state.at(*as_step(((1,), (0,), (5,))))
        act_by_step(state, torch.ones(5, HIDDEN), None, 0)
        assert list(state.acted([1])[0].counts[:1]) == [5]
