"""The arithmetic that hooks share, on any device, against float64; spans in pieces."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from personae.api.requests import Intervention
from personae.inference.torch_engine.intervention_slots import PlanRow
from personae.inference.torch_engine.interventions import expected_positions
from personae.inference.vllm_engine.intervention_tables import build_tables
from personae.inference.vllm_engine.span_sums import SpanSums, SpanTable
from personae.inference.vllm_engine.step_state import StepState, WorkerRequest
from personae.inference.vllm_engine.stream_arithmetic import intervene_on
from personae.inference.vllm_engine.vllm_job import _namespaces

HIDDEN = 16
_RNG = np.random.default_rng(0)
VECTORS = {name: _RNG.normal(size=HIDDEN).astype(np.float32) for name in ("v", "w")}
PLAN = [
    PlanRow([], 3),
    PlanRow([Intervention(op="add", layer=0, vector="v", coefficient=2.0)], 3),
    PlanRow(
        [
            Intervention(op="add", layer=1, vector="w", positions="prompt"),
            Intervention(op="cap", layer=0, vector="v", floor=0.4, positions="response"),
            Intervention(op="ablate", layer=0, vector="w", positions="response_from_prompt_end"),
        ],
        4,
    ),
]


@dataclass
class _Model:
    """As much of a chat model as tables need."""

    n_layers: int = 2
    hidden_size: int = HIDDEN
    vocab_size: int = 10
    max_length: int = 100
    tokenizer: Any = None
    stop_ids: frozenset[int] = field(default_factory=frozenset)


@pytest.fixture(params=["cpu", "cuda"])
def device(request: pytest.FixtureRequest) -> torch.device:
    if request.param == "cuda" and not torch.cuda.is_available():
        pytest.skip("there is no CUDA device")
    return torch.device(request.param)


def _state(device: torch.device, spans: SpanTable | None = None) -> StepState:
    tables = build_tables(_Model(), PLAN, VECTORS)
    n_prompt = np.array([row.n_prompt for row in PLAN], dtype=np.int32)
    prefix = _namespaces(PLAN, tables.program)
    return StepState(WorkerRequest(n_prompt, prefix, tables, spans=spans), HIDDEN, device)


def _exact(h: NDArray[np.float64], row: int, position: int, layer: int) -> NDArray[np.float64]:
    """Apply a row's interventions to the stream of one token, in float64."""
    for one in PLAN[row].interventions:
        inside = expected_positions(one.positions, PLAN[row].n_prompt, position, position + 1)
        if one.layer != layer or not inside:
            continue
        v = VECTORS[one.vector].astype(np.float64)
        u = v / np.linalg.norm(v)
        if one.op == "add":
            h = h + one.coefficient * v
        elif one.op == "cap":
            h = h - u * min(h @ u - one.floor, 0)
        else:
            h = h - (h @ u) * u
    return h


STEPS = (
    # rows, starts, lengths: a prompt in two pieces, decoding rows beside it, rows in another order
    ((2, 0), (0, 0), (2, 6)),
    ((1, 2, 0), (0, 2, 6), (5, 3, 1)),
    ((2, 1), (5, 5), (1, 1)),
)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_every_token_of_a_mixed_step_is_float64s(device: torch.device, dtype: torch.dtype) -> None:
    state = _state(device)
    for rows, starts, lengths in STEPS:
        state.at(*(np.array(x, dtype=np.int32) for x in (rows, starts, lengths)))
        before = torch.randn(sum(lengths), HIDDEN, generator=torch.Generator().manual_seed(1))
        before = before.to(dtype)
        for layer in range(2):
            after, acted = intervene_on(
                before.to(device), state.tables, state.tokens, layer, int(state.depth[layer])
            )
            place = 0
            for row, start, length in zip(rows, starts, lengths, strict=True):
                for position in range(start, start + length):
                    h = before[place].double().numpy()
                    expected = _exact(h, row, position, layer)
                    found = after[place].double().cpu().numpy()
                    tolerance = 1e-5 if dtype == torch.float32 else 0.05
                    np.testing.assert_allclose(found, expected, atol=tolerance)
                    if not acted[place]:
                        np.testing.assert_array_equal(found, h)
                    place += 1
    acted_rows = state.acted([0, 1, 2])
    assert [list(row.counts) for row in acted_rows] == [[0, 0, 0], [6, 0, 0], [4, 2, 3]]
    assert [row.reach for row in acted_rows] == [7, 6, 6]


def test_tokens_that_are_computed_again_act_again_but_count_once(device: torch.device) -> None:
    state = _state(device)
    for start, length in ((0, 4), (0, 6)):
        state.at(*(np.array([x], dtype=np.int32) for x in (1, start, length)))
        stream = torch.ones(length, HIDDEN, device=device)
        changed, acted = intervene_on(stream, state.tables, state.tokens, 0, 1)
        assert acted.all()
        assert not torch.equal(changed, stream)
    assert state.acted([1])[0].counts[0] == 6


def test_what_a_row_skips_is_noted_and_must_have_been_computed(device: torch.device) -> None:
    state = _state(device)
    with pytest.raises(RuntimeError, match="row 1 begins at 2, which no row computed"):
        state.at(*(np.array([x], dtype=np.int32) for x in (1, 2, 2)))


def test_span_sums_do_not_depend_on_the_pieces(device: torch.device) -> None:
    table = SpanTable(np.array([[0, 1, 6], [1, 0, 3], [0, 4, 5]], dtype=np.int32), [1])
    stream = torch.randn(2, 6, HIDDEN, generator=torch.Generator().manual_seed(2)).to(device)
    whole = SpanSums(table, HIDDEN, device)
    row, position = np.repeat([0, 1], 6).astype(np.int32), np.tile(np.arange(6), 2).astype(np.int32)
    whole.at(row, position, np.ones(12, dtype=np.bool_))
    whole.add(1, stream.flatten(0, 1))
    whole.add(0, stream.flatten(0, 1))
    pieces = SpanSums(table, HIDDEN, device)
    for place in range(6):
        row, position = np.array([1, 0], np.int32), np.array([place, place], np.int32)
        for fresh in (True, False):
            pieces.at(row, position, np.full(2, fresh))
            pieces.add(1, stream[[1, 0], place])
    expected = [stream[0, 1:6].sum(0), stream[1, 0:3].sum(0), stream[0, 4]]
    for sums, counted in (whole.take(), pieces.take()):
        assert counted.tolist() == [5, 3, 1]
        for found, exact in zip(sums[:, 0], expected, strict=True):
            np.testing.assert_allclose(found, exact.cpu().numpy(), atol=1e-5)


def test_rows_share_a_namespace_only_where_they_are_treated_alike() -> None:
    add = Intervention(op="add", layer=0, vector="v")
    late = add.model_copy(update={"positions": "response"})
    plan = [
        PlanRow([], 3),
        PlanRow([], 9),
        PlanRow([add], 3),
        PlanRow([add], 9),
        PlanRow([late], 3),
        PlanRow([late], 9),
        PlanRow([late], 9),
    ]
    tables = build_tables(_Model(), plan, VECTORS)
    assert _namespaces(plan, tables.program).tolist() == [0, 0, 1, 1, 2, 3, 3]
