"""Interventions against a float64 reference: signs, positions, layers, rows, floors, counts."""

from __future__ import annotations

from typing import get_args

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from personae.api.requests import (
    ActivationRow,
    ActivationsRequest,
    Intervention,
    LikelihoodRequest,
    LikelihoodRow,
    Operation,
    Positions,
    Span,
)
from personae.api.wire_encoding import pack_vector
from personae.inference.chat_templates import render_prompt
from personae.inference.engine_errors import InterventionError, RequestError
from personae.inference.torch_engine.activations import activations
from personae.inference.torch_engine.intervention_slots import PlanRow
from personae.inference.torch_engine.interventions import Plan, expected_positions, intervene
from personae.inference.torch_engine.model_loading import LoadedModel

from .asking import GREEDY, generate, generate_request, generate_rows, loglikelihood, prompts
from .families import load_tiny
from .streams import MIXED, VECTORS, Vectors, assert_close, reference, streams, token_row


@pytest.fixture(scope="module")
def exact() -> LoadedModel:
    """The tiny Llama in float64."""
    return load_tiny("llama3", torch.float64)


IDS = [int(i) for i in np.random.default_rng(1).integers(0, 256, size=20)]


@pytest.mark.parametrize("layer", range(4))
@pytest.mark.parametrize("positions", get_args(Positions))
@pytest.mark.parametrize("op", ["add", "cap", "ablate"])
def test_each_operation_is_the_reference_at_every_position_and_layer(
    tiny: LoadedModel, exact: LoadedModel, op: Operation, positions: Positions, layer: int
) -> None:
    intervention = Intervention(
        op=op, layer=layer, vector="v", coefficient=-1.5, floor=0.75, positions=positions
    )
    found = streams(tiny, [token_row("x", IDS, 12, [intervention])])["x"]
    plain = streams(tiny, [token_row("x", IDS, 12)])["x"]
    expected = np.stack(reference(exact, IDS, 12, [intervention])[1])
    assert_close(found, expected)
    assert (found[:layer] == plain[:layer]).all(), "earlier layers keep their bits"
    moved = (found[layer] != plain[layer]).any(-1)
    rule = {
        "prompt": np.arange(20) < 12,
        "response": np.arange(20) >= 12,
        "response_from_prompt_end": np.arange(20) >= 11,
    }
    assert not moved[~rule.get(positions, np.ones(20, dtype=bool))].any()
    assert moved.any()


def test_addition_moves_along_the_raw_vector_by_the_coefficient(tiny: LoadedModel) -> None:
    add = Intervention(op="add", layer=3, vector="v", coefficient=-2.0)
    moved = streams(tiny, [token_row("x", IDS, 5, [add])])["x"][3]
    plain = streams(tiny, [token_row("x", IDS, 5)])["x"][3]
    assert np.allclose(moved - plain, -2.0 * VECTORS["v"], atol=1e-4)


def test_capping_raises_low_projections_to_the_floor_and_touches_no_other(
    tiny: LoadedModel,
) -> None:
    unit = VECTORS["axis"].astype(np.float64) / np.linalg.norm(VECTORS["axis"])
    plain = streams(tiny, [token_row("x", IDS, 5)])["x"][2]
    floor = float(np.median(plain @ unit))
    cap = Intervention(op="cap", layer=2, vector="axis", floor=floor)
    capped = streams(tiny, [token_row("x", IDS, 5, [cap])])["x"][2]
    low = plain @ unit < floor
    assert low.any()
    assert (~low).any()
    assert np.allclose((capped @ unit)[low], floor, atol=1e-5)
    assert (capped @ unit >= floor - 1e-5).all()
    assert (capped[~low] == plain[~low]).all()
    across = np.eye(32) - np.outer(unit, unit)
    assert np.allclose(capped @ across, plain @ across, atol=1e-5)


def test_ablation_leaves_no_projection(tiny: LoadedModel) -> None:
    ablate = Intervention(op="ablate", layer=1, vector="w")
    stream = streams(tiny, [token_row("x", IDS, 5, [ablate])])["x"][1]
    assert np.abs(stream @ (VECTORS["w"] / np.linalg.norm(VECTORS["w"]))).max() < 1e-5


def test_rows_of_one_batch_get_their_own_interventions_and_others_keep_their_bits(
    tiny: LoadedModel, exact: LoadedModel
) -> None:
    rows = [token_row(f"{i}", IDS[: 20 - i], 7, MIXED.get(i, ())) for i in range(8)]
    found = streams(tiny, rows)
    plain = streams(tiny, [r.model_copy(update={"interventions": []}) for r in rows])
    for number, row in enumerate(rows):
        expected = np.stack(reference(exact, row.token_ids, 7, row.interventions)[1])
        assert_close(found[row.id], expected)
        same = found[row.id] == plain[row.id]
        first = min((i.layer for i in row.interventions), default=tiny.n_layers)
        assert same[:first].all()
        assert same.all() == (number not in MIXED)


def test_extraction_after_a_prompt_in_common_is_the_reference(
    tiny: LoadedModel, exact: LoadedModel
) -> None:
    """Every setting on eight responses to one long prompt: those of a setting share its prefill."""
    prompt = [(5 * i) % 250 for i in range(60)]
    rows = [
        ActivationRow(
            id=f"{number}/{i}",
            token_ids=[*prompt, *((13 * i + 7 * j) % 250 for j in range(3 + i))],
            n_prompt=len(prompt),
            spans=[Span(name="response", start=len(prompt), end=len(prompt) + 3 + i)],
            interventions=MIXED.get(number, []),
        )
        for number in range(8)
        for i in range(8)
    ]
    fed = 0

    def count(module: nn.Module, args: object, keywords: dict[str, Tensor]) -> None:
        nonlocal fed
        fed += keywords["input_ids"].numel()

    handle = tiny.model.get_decoder().register_forward_pre_hook(count, with_kwargs=True)
    packed = {name: pack_vector(v) for name, v in VECTORS.items()}
    results = list(activations(tiny, ActivationsRequest(rows=rows, vectors=packed)))
    handle.remove()
    assert len(results) == len(rows)
    assert fed < 0.3 * sum(len(row.token_ids) for row in rows)
    by_name = {row.id: row for row in rows}
    for result in results:
        row = by_name[result.id]
        stream = np.stack(reference(exact, row.token_ids, len(prompt), row.interventions)[1])
        assert_close(result.vectors, stream[:, len(prompt) :].mean(1))


@pytest.mark.parametrize("tokens", [32768, 300], ids=["one batch", "rows enter and leave"])
def test_decoding_with_interventions_is_the_reference_token_by_token(
    tiny: LoadedModel, exact: LoadedModel, tokens: int
) -> None:
    turns = prompts(8)
    request = generate_request(generate_rows(turns, MIXED), vectors=VECTORS)
    results = generate(tiny, request, max_batch_tokens=tokens)
    changed = 0
    for row, result in zip(request.rows, results, strict=True):
        ids, n_prompt = result.prompt_ids + result.response_ids, len(result.prompt_ids)
        logits, _ = reference(exact, ids, n_prompt, row.interventions)
        assert logits[n_prompt - 1 : -1].argmax(-1).tolist() == result.response_ids
        fed = len(ids) if result.finish_reason == "stop" else len(ids) - 1
        assert result.fired == sum(
            expected_positions(i.positions, n_prompt, 0, fed) for i in row.interventions
        )
        plain = reference(exact, ids, n_prompt, [])[0]
        changed += plain[n_prompt - 1 : -1].argmax(-1).tolist() != result.response_ids
    assert changed >= 4, "the interventions are strong enough to be seen"


def test_likelihood_with_interventions_is_the_reference(
    tiny: LoadedModel, exact: LoadedModel
) -> None:
    turn = prompts(3)[2]
    rows = [
        LikelihoodRow(
            id=f"{number}",
            messages=turn,
            continuation_ids=[10, 20, 30, number],
            interventions=MIXED.get(number, []),
        )
        for number in range(8)
    ]
    packed = {name: pack_vector(v) for name, v in VECTORS.items()}
    prompt = render_prompt(tiny.tokenizer, turn)
    for row, result in zip(
        rows, loglikelihood(tiny, LikelihoodRequest(rows=rows, vectors=packed)), strict=True
    ):
        assert row.continuation_ids is not None
        ids = prompt + row.continuation_ids
        logits, _ = reference(exact, ids, len(prompt), row.interventions)
        logp = logits.log_softmax(-1)[len(prompt) - 1 : -1]
        expected = float(logp[range(4), row.continuation_ids].sum())
        assert result.sum_logprob == pytest.approx(expected, abs=1e-4)


def test_coefficient_zero_and_an_inactive_floor_change_no_bit(tiny: LoadedModel) -> None:
    idle = [
        Intervention(op="add", layer=1, vector="v", coefficient=0),
        Intervention(op="cap", layer=2, vector="v", floor=-1e6),
    ]
    plain = streams(tiny, [token_row("x", IDS, 5)])["x"]
    assert (streams(tiny, [token_row("x", IDS, 5, idle)])["x"] == plain).all()


def test_bfloat16_streams_keep_their_bits_where_nothing_acts() -> None:
    loaded = load_tiny("llama3", torch.bfloat16)
    rows = [token_row(f"{i}", IDS, 7, MIXED.get(i, ())) for i in (0, 5, 2, 7)]
    plain = streams(loaded, [r.model_copy(update={"interventions": []}) for r in rows])
    found = streams(loaded, rows)
    for number in ("5", "7"):
        assert (found[number] == plain[number]).all()
    assert (found["2"][0] == plain["2"][0]).all()
    assert (found["2"][1] != plain["2"][1]).any()


def test_a_hook_that_missed_positions_is_an_error(tiny: LoadedModel) -> None:
    plan = Plan(tiny, [PlanRow(MIXED[0], 4)], VECTORS)
    plan.bind([0])
    plan.at(np.array([[0, 1, 2, 3]]))
    with intervene(tiny, plan), torch.inference_mode():
        tiny.model(input_ids=torch.tensor([IDS[:4]]))
    assert plan.verify(0, 0, 4) == 4
    with pytest.raises(InterventionError, match="add at layer 1 acted at 4 positions of a row"):
        plan.verify(0, 0, 5)


def test_hooks_are_gone_after_the_block_even_after_an_error(tiny: LoadedModel) -> None:
    plan = Plan(tiny, [PlanRow(MIXED[3], 4)], VECTORS)

    def fail_inside() -> None:
        with intervene(tiny, plan):
            assert sum(len(block._forward_hooks) for block in tiny.blocks) == 3
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail_inside()
    assert not any(block._forward_hooks for block in tiny.blocks)


def test_a_request_whose_interventions_never_acted_is_an_error(tiny: LoadedModel) -> None:
    only_response = {0: [Intervention(op="add", layer=1, vector="v", positions="response")]}
    rows = generate_rows(prompts(1), only_response)
    one = GREEDY.model_copy(update={"max_new_tokens": 1})
    with pytest.raises(InterventionError, match="no intervention of the request ever acted"):
        generate(tiny, generate_request(rows, one, VECTORS))


@pytest.mark.parametrize(
    ("intervention", "vectors", "message"),
    [
        (Intervention(op="add", layer=4, vector="v"), VECTORS, "layer 4: .* layers 0 to 3"),
        (
            Intervention(op="add", layer=1, vector="v"),
            {"v": np.ones(31, dtype=np.float32)},
            r"vector 'v' has shape \(31,\), the model needs \(32,\)",
        ),
        (
            Intervention(op="cap", layer=1, vector="v"),
            {"v": np.zeros(32, dtype=np.float32)},
            "vector 'v' is zero",
        ),
    ],
)
def test_what_does_not_fit_the_model_is_refused(
    tiny: LoadedModel, intervention: Intervention, vectors: Vectors, message: str
) -> None:
    rows = generate_rows(prompts(1), {0: [intervention]})
    with pytest.raises(RequestError, match=message):
        generate(tiny, generate_request(rows, vectors=vectors))


def test_rows_whose_prompts_end_at_different_places_of_one_beginning_keep_their_own_last_token(
    tiny: LoadedModel, exact: LoadedModel
) -> None:
    from_end = Intervention(
        op="add", layer=1, vector="v", coefficient=2.0, positions="response_from_prompt_end"
    )
    request = ActivationsRequest(
        rows=[
            ActivationRow(
                id=f"{n_prompt}-{first}",
                token_ids=[first, *(5 * i % 250 for i in range(61)), 7, 8],
                n_prompt=n_prompt,
                spans=[Span(name="end", start=n_prompt, end=64)],
                interventions=[from_end],
            )
            for first in range(4)
            for n_prompt in (60, 62)
        ],
        vectors={"v": pack_vector(VECTORS["v"])},
    )
    found = {result.id: result.vectors for result in activations(tiny, request)}
    for row in request.rows:
        stream = np.stack(reference(exact, row.token_ids, row.n_prompt, [from_end])[1])
        assert_close(found[row.id], stream[:, row.n_prompt :].mean(1))
