"""The arithmetic that hooks share, on any device, against float64; spans in pieces."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from personae.api.requests import Intervention
from personae.inference.intervention_buffers.intervention_tables import build_tables
from personae.inference.intervention_buffers.stream_arithmetic import intervene_on
from personae.inference.torch_engine.intervention_slots import PlanRow
from personae.inference.vllm_engine.span_sums import SpanSums, SpanTable
from personae.inference.vllm_engine.step_state import StepState, WorkerRequest
from personae.inference.vllm_engine.vllm_job import _namespaces

from .arithmetic_cases import HIDDEN, PLAN, STEPS, VECTORS, TinyModel, as_step, exact


@pytest.fixture(params=["cpu", "cuda"])
def device(request: pytest.FixtureRequest) -> torch.device:
    if request.param == "cuda" and not torch.cuda.is_available():
        pytest.skip("there is no CUDA device")
    return torch.device(request.param)


def _state(device: torch.device, spans: SpanTable | None = None) -> StepState:
    tables = build_tables(TinyModel(), PLAN, VECTORS)
    n_prompt = np.array([row.n_prompt for row in PLAN], dtype=np.int32)
    prefix = _namespaces(PLAN, tables.program)
    return StepState(WorkerRequest(n_prompt, prefix, tables, spans=spans), HIDDEN, device)


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
                    expected = exact(h, row, position, layer)
                    found = after[place].double().cpu().numpy()
                    tolerance = 1e-5 if dtype == torch.float32 else 0.05
                    np.testing.assert_allclose(found, expected, atol=tolerance)
                    if not acted[place]:
                        np.testing.assert_array_equal(found, h)
                    place += 1
    acted_rows = state.acted([0, 1, 2])
    assert [list(row.counts) for row in acted_rows] == [[0, 0, 0], [6, 0, 0], [4, 2, 3]]
    assert [row.reach for row in acted_rows] == [7, 6, 6]


def test_what_decoding_keeps_from_step_to_step_is_given_up_when_rows_change(
    device: torch.device,
) -> None:
    state = _state(device)
    steps = [((2, 1), (0, 0), (4, 3)), ((2, 1), (4, 3), (1, 1)), ((2, 1), (5, 4), (1, 1)),
             ((1, 2), (5, 6), (1, 1)), ((1,), (6,), (1,))]  # fmt: skip
    tables = []
    for rows, starts, lengths in steps:
        state.at(*as_step((rows, starts, lengths)))
        tables.append(state.tokens)
        stream = torch.randn(sum(lengths), HIDDEN, generator=torch.Generator().manual_seed(1))
        after, _ = intervene_on(
            stream.to(device), state.tables, state.tokens, 0, int(state.depth[0])
        )
        if set(lengths) == {1}:
            for place, (row, position) in enumerate(zip(rows, starts, strict=True)):
                np.testing.assert_allclose(
                    after[place].double().cpu().numpy(),
                    exact(stream[place].double().numpy(), row, position, 0),
                    atol=1e-5,
                )
    assert tables[1] is tables[2]
    assert len({id(each) for each in tables}) == 4
    assert [list(row.counts) for row in state.acted([1, 2])] == [[7, 0, 0], [0, 3, 4]]


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
        for found, true in zip(sums[:, 0], expected, strict=True):
            np.testing.assert_allclose(found, true.cpu().numpy(), atol=1e-5)


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
    tables = build_tables(TinyModel(), plan, VECTORS)
    assert _namespaces(plan, tables.program).tolist() == [0, 0, 1, 1, 2, 3, 3]
