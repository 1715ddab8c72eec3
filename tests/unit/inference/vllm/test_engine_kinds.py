"""Results of both engines against float64: streams, scores and most likely tokens."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import NamedTuple, get_args

import numpy as np
import pytest
import torch

from personae.api.requests import (
    GenerateRow,
    Intervention,
    LikelihoodRow,
    Operation,
    Positions,
    Sampling,
    Span,
)
from personae.inference.chat_templates import render_prompt
from personae.inference.server.backend import Backend

from ..engine.asking import GREEDY, generate_request, generate_rows, prompts, user
from ..engine.streams import reference, token_row
from .asking_engines import VECTORS, generate, means, scores, tokens
from .conftest import FAMILIES, TURNS, TinyFamily, needs_vllm

IDS = [int(i) for i in np.random.default_rng(1).integers(0, 256, size=20)]
N_PROMPT = 12
WARM = Sampling(temperature=0.9, top_p=0.95, max_new_tokens=8)
MANY: dict[int, list[Intervention]] = {
    0: [Intervention(op="add", layer=1, vector="v", coefficient=2.5)],
    1: [Intervention(op="add", layer=2, vector="v", coefficient=-2.5, positions="response")],
    2: [Intervention(op="cap", layer=1, vector="axis", floor=1.5)],
    3: [Intervention(op="cap", layer=x, vector="axis", floor=0.5 * x) for x in (1, 2, 3)],
    4: [Intervention(op="ablate", layer=0, vector="w", positions="prompt")],
    6: [
        Intervention(op="add", layer=2, vector="w", positions="prompt"),
        Intervention(op="ablate", layer=2, vector="v"),
        Intervention(op="cap", layer=2, vector="w", floor=4.0, positions="response"),
    ],
}


class Case(NamedTuple):
    """A family's tiny model, and an engine that has loaded it."""

    family: TinyFamily
    engine: Backend


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(
            (name, kind), marks=[needs_vllm] if kind == "vllm" else [], id=f"{name}-{kind}"
        )
        for name, kind in product(FAMILIES, ("torch", "vllm"))
    ],
)
def case(
    request: pytest.FixtureRequest,
    family: Callable[[str], TinyFamily],
    engine_of: Callable[[TinyFamily, str], Backend],
) -> Case:
    name, kind = request.param
    tiny = family(name)
    return Case(tiny, engine_of(tiny, kind))


def _settings(case: Case) -> list[Intervention]:
    """Return every operation, position rule and layer; floors are what half of a stream reaches."""
    unit = VECTORS["v"].astype(np.float64) / np.linalg.norm(VECTORS["v"])
    plain = reference(case.family.exact, IDS, N_PROMPT, [])[1]
    return [
        Intervention(
            op=op,
            layer=layer,
            vector="v",
            coefficient=-1.5,
            floor=float(np.median(plain[layer] @ unit)),
            positions=positions,
        )
        for layer, op, positions in product(
            range(case.family.exact.n_layers), get_args(Operation), get_args(Positions)
        )
    ]


def test_greedy_tokens_are_those_of_transformers(case: Case) -> None:
    results = generate(case.engine, generate_request(generate_rows(TURNS), GREEDY))
    assert tokens(results) == case.family.greedy
    assert any(map(len, case.family.greedy))


def test_streams_with_interventions_are_float64s_at_every_layer(case: Case) -> None:
    settings = _settings(case)
    rows = [
        token_row(f"{i}", IDS[: 20 - i % 5], N_PROMPT - i % 3, [setting])
        for i, setting in enumerate(settings)
    ]
    found = means(case.engine, rows)
    for row, setting in zip(rows, settings, strict=True):
        expected = np.stack(
            reference(case.family.exact, row.token_ids, row.n_prompt, [setting], VECTORS)[1]
        )
        streams = np.stack([found[row.id, span.name] for span in row.spans], axis=1)
        scale = np.abs(expected).max((1, 2))
        assert (np.abs(streams - expected).max((1, 2)) <= 5e-5 * scale).all()


def test_several_interventions_of_a_row_apply_in_their_order(case: Case) -> None:
    found = means(case.engine, [token_row("x", IDS, N_PROMPT, MANY[6])])
    expected = np.stack(reference(case.family.exact, IDS, N_PROMPT, MANY[6], VECTORS)[1])
    streams = np.stack([found["x", f"t{i}"] for i in range(len(IDS))], axis=1)
    assert np.abs(streams - expected).max() <= 5e-5 * np.abs(expected).max()
    swapped = np.stack(reference(case.family.exact, IDS, N_PROMPT, MANY[6][::-1], VECTORS)[1])
    assert np.abs(swapped - expected).max() > 1e-2 * np.abs(expected).max()


def test_span_means_are_float64s_whatever_the_spans(case: Case) -> None:
    spans = [
        Span(name="whole", start=0, end=20),
        Span(name="prompt", start=0, end=12),
        Span(name="over the edge", start=7, end=15),
        Span(name="last", start=19, end=20),
    ]
    row = token_row("x", IDS, N_PROMPT, MANY[0]).model_copy(update={"spans": spans})
    other = token_row("y", IDS[:9], 4).model_copy(update={"spans": [spans[3].model_copy(
        update={"start": 2, "end": 9})]})  # fmt: skip
    streams = np.stack(reference(case.family.exact, IDS, N_PROMPT, MANY[0], VECTORS)[1])
    found = means(case.engine, [row, other], layers=[3, 0])
    for span in spans:
        expected = streams[[3, 0], span.start : span.end].mean(1)
        assert np.abs(found["x", span.name] - expected).max() <= 1e-5 * np.abs(streams).max()


def test_every_greedy_token_is_float64s_likeliest_under_its_interventions(case: Case) -> None:
    """Mixed rows, plain ones between them; a wrong position or layer would show in the logits."""
    settings = _settings(case)
    chosen = {i + i // 5: [setting] for i, setting in enumerate(settings)}
    turns = prompts(len(settings) + len(settings) // 5)
    rows = generate_rows(turns, chosen)
    results = generate(case.engine, generate_request(rows, GREEDY, VECTORS))
    changed = 0
    for row, result in zip(rows, results, strict=True):
        ids = [*result.prompt_ids, *result.response_ids]
        n_prompt = len(result.prompt_ids)
        logits, _ = reference(case.family.exact, ids, n_prompt, row.interventions, VECTORS)
        ahead = logits[n_prompt - 1 : len(ids) - 1]
        said = ahead[torch.arange(len(ahead)), torch.tensor(result.response_ids, dtype=torch.long)]
        assert (said >= ahead.amax(-1) - 1e-3).all()
        plain = reference(case.family.exact, ids, n_prompt, [])[0][n_prompt - 1 : len(ids) - 1]
        moved = float((plain - ahead).abs().max()) if len(ahead) else 0.0
        changed += bool(row.interventions) and moved > 1e-2
    assert changed >= 0.8 * len(settings)


def test_log_probabilities_are_float64s(case: Case) -> None:
    rows = [
        LikelihoodRow(
            id=f"{i}",
            messages=turn,
            continuation_ids=list(range(1, 4 + i)),
            interventions=MANY.get(i, []),
        )
        for i, turn in enumerate(prompts(8))
    ]
    for row, score in zip(rows, scores(case.engine, rows), strict=True):
        prompt = render_prompt(case.family.exact.tokenizer, row.messages)
        continuation = row.continuation_ids or []
        logits, _ = reference(
            case.family.exact, prompt + continuation, len(prompt), row.interventions, VECTORS
        )
        ahead = logits[len(prompt) - 1 : -1].log_softmax(-1)
        expected = ahead[torch.arange(len(continuation)), torch.tensor(continuation)].sum()
        assert score == pytest.approx(float(expected), abs=1e-4 * len(continuation))


def test_rows_of_a_mixed_batch_are_the_rows_alone(case: Case) -> None:
    rows = generate_rows(prompts(9), MANY)
    together = generate(case.engine, generate_request(rows, WARM, VECTORS))
    for row, result in zip(rows, together, strict=True):
        (alone,) = generate(case.engine, generate_request([row], WARM, VECTORS))
        assert (alone.response_ids, alone.fired) == (result.response_ids, result.fired)
        assert (alone.text, alone.finish_reason) == (result.text, result.finish_reason)
    assert sum(bool(result.fired) for result in together) == len(MANY)


def test_rows_end_at_their_own_length_or_at_a_stop_token(case: Case) -> None:
    rows = [
        GenerateRow(id=f"{i}", seed=i, messages=user("hi"), max_new_tokens=1 + i % 20)
        for i in range(80)
    ]
    hot = Sampling(temperature=20.0, top_p=1.0, max_new_tokens=99)
    results = generate(case.engine, generate_request(rows, hot))
    stop = case.family.exact.stop_ids
    for row, result in zip(rows, results, strict=True):
        length = len(result.response_ids)
        assert not stop & set(result.response_ids)
        assert result.finish_reason == ("length" if length == row.max_new_tokens else "stop")
    assert {result.finish_reason for result in results} == {"length", "stop"}
