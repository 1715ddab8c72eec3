"""Every operation at every position rule and layer, prefilled and decoded, against float64.

What is compared are numbers - the streams of all layers, and the log-probability of every token of
the vocabulary at every step - since the likeliest token alone hides most errors.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import NamedTuple, get_args

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from personae.api.requests import GenerateRow, Intervention, Operation, Positions, Sampling
from personae.inference.torch_engine import decoding
from personae.inference.torch_engine.generation import GenerationResult
from personae.inference.torch_engine.model_loading import LoadedModel
from personae.inference.torch_engine.sampling import draw, uniforms

from .asking import generate, generate_request, generate_rows, prompts
from .families import FAMILIES, load_tiny
from .streams import VECTORS, reference, streams, token_row

IDS = [int(i) for i in np.random.default_rng(1).integers(0, 256, size=20)]
N_PROMPT = 12
SOME = ("llama3", "qwen3", "gemma2", "gemma3_nested", "phi3", "gpt_oss")
# Drawn, not greedy, so that the paths are not those that rounding cannot change.
WARM = Sampling(temperature=0.9, top_p=0.95, max_new_tokens=7)

Logprobs = dict[tuple[str, int], Tensor]
"""Float64 [vocabulary] by row and step."""


class Pair(NamedTuple):
    """A family's tiny model as the engine runs it, and in float64.

    ``close`` is how far log-probabilities may lie apart.
    """

    engine: LoadedModel
    exact: LoadedModel
    close: float


def _pair(name: str, device: str) -> Pair:
    exact = load_tiny(name, torch.float64)
    if exact.model.get_experts_implementation().get(""):
        # The grouped product of experts knows no float64.
        exact.model.set_experts_implementation("eager")
    # Of the random gpt-oss, transformers' own float32 log-probabilities are 2e-4 from float64's.
    return Pair(load_tiny(name, device=device), exact, 5e-4 if name == "gpt_oss" else 1e-4)


@pytest.fixture(scope="module", params=SOME)
def pair(request: pytest.FixtureRequest, device: str) -> Pair:
    """Families that differ in norms, attention, nesting and the output of their blocks."""
    return _pair(request.param, device)


@pytest.fixture(scope="module", params=FAMILIES)
def each(request: pytest.FixtureRequest, device: str) -> Pair:
    """All families."""
    return _pair(request.param, device)


def _settings(exact: LoadedModel) -> list[Intervention]:
    """Return every operation, position rule and layer; floors are what half of a stream reaches."""
    unit = VECTORS["v"].astype(np.float64) / np.linalg.norm(VECTORS["v"])
    plain = reference(exact, IDS, N_PROMPT, [])[1]
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
            range(exact.n_layers), get_args(Operation), get_args(Positions)
        )
    ]


def _covered(positions: Positions, length: int, n_prompt: int) -> NDArray[np.bool_]:
    place = np.arange(length)
    return {
        "prompt": place < n_prompt,
        "response": place >= n_prompt,
        "response_from_prompt_end": place >= n_prompt - 1,
        "all": place >= 0,
    }[positions]


def test_prefilled_streams_are_the_reference_at_every_layer(pair: Pair) -> None:
    """All settings in one batch, on rows and prompts of different lengths."""
    settings = _settings(pair.exact)
    rows = [
        token_row(f"{i}", IDS[: 20 - i % 5], N_PROMPT - i % 3, [setting])
        for i, setting in enumerate(settings)
    ]
    found = streams(pair.engine, rows)
    for row, setting in zip(rows, settings, strict=True):
        expected = np.stack(reference(pair.exact, row.token_ids, row.n_prompt, [setting])[1])
        scale = np.abs(expected).max((1, 2))
        assert (np.abs(found[row.id] - expected).max((1, 2)) <= 2e-5 * scale).all()
        plain = np.stack(reference(pair.exact, row.token_ids, row.n_prompt, [])[1])
        moved = np.abs(expected - plain)[setting.layer].max(-1) > 1e-3 * scale[setting.layer]
        covered = _covered(setting.positions, len(row.token_ids), row.n_prompt)
        assert not moved[~covered].any()
        # A floor may be inactive, and a projection next to nothing; an addition is never.
        assert moved[covered].all() if setting.op == "add" else moved[covered].any()


def _watch(rows: Sequence[GenerateRow], monkeypatch: pytest.MonkeyPatch) -> Logprobs:
    """Return what will hold the log-probabilities of every draw.

    The uniform number handed to a draw tells whose it is and at which step: it has to be that row's
    own, and never comes twice.
    """
    steps = WARM.max_new_tokens
    owner = {
        float(number): (row.id, step)
        for row in rows
        for step, number in enumerate(uniforms(row.seed, steps))
    }
    assert len(owner) == steps * len(rows), "no two draws have the same number"
    seen: Logprobs = {}

    def watched(logits: Tensor, sampling: Sampling, uniform: Tensor) -> Tensor:
        for row, number in zip(logits, uniform.tolist(), strict=True):
            assert owner[number] not in seen
            seen[owner[number]] = row.double().log_softmax(-1).cpu()
        return draw(logits, sampling, uniform)

    monkeypatch.setattr(decoding, "draw", watched)
    return seen


def _logprobs(
    exact: LoadedModel, result: GenerationResult, interventions: Sequence[Intervention]
) -> Tensor:
    """Return float64 log-probabilities of all steps of a response, [steps, vocabulary]."""
    n_prompt = len(result.prompt_ids)
    ids = result.prompt_ids + result.response_ids
    logits = reference(exact, ids, n_prompt, interventions)[0]
    # A stop token was drawn, too, but is no token of the response.
    last = len(ids) - (result.finish_reason != "stop")
    return logits[n_prompt - 1 : last].log_softmax(-1)


def _assert_reference(
    pair: Pair, row: GenerateRow, result: GenerationResult, seen: Logprobs
) -> Tensor:
    """Compare all steps of a row with float64 and take them out; return the reference."""
    expected = _logprobs(pair.exact, result, row.interventions)
    found = torch.stack([seen.pop((row.id, step)) for step in range(len(expected))])
    assert float((found - expected).abs().max()) <= pair.close
    return expected


@pytest.mark.parametrize("tokens", [32768, 700], ids=["one batch", "rows enter and leave"])
def test_decoded_log_probabilities_are_the_reference_at_every_step(
    pair: Pair, tokens: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All settings in one request, plain rows between them, prompts and responses unequal."""
    settings = _settings(pair.exact)
    chosen = {i + i // 9: [setting] for i, setting in enumerate(settings)}
    turns = prompts(len(settings) + len(settings) // 9)
    rows = [
        row.model_copy(update={"max_new_tokens": 3 + i % 5})
        for i, row in enumerate(generate_rows(turns, chosen))
    ]
    seen = _watch(rows, monkeypatch)
    request = generate_request(rows, WARM, VECTORS)
    results = generate(pair.engine, request, max_batch_tokens=tokens)
    visible = 0
    for row, result in zip(rows, results, strict=True):
        expected = _assert_reference(pair, row, result, seen)
        moved = (expected - _logprobs(pair.exact, result, [])).abs().max()
        visible += bool(row.interventions) and float(moved) > 1e-2
    assert not seen
    # Not where a response stops before it begins, or never comes under its floor.
    assert visible >= 0.85 * len(settings)


def test_plain_log_probabilities_are_float64s_alone_and_in_a_batch(
    each: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = generate_rows(prompts(10))
    seen = _watch(rows, monkeypatch)
    for tokens in (32768, 400, 1):
        results = generate(each.engine, generate_request(rows, WARM), max_batch_tokens=tokens)
        for row, result in zip(rows, results, strict=True):
            _assert_reference(each, row, result, seen)
        assert not seen
