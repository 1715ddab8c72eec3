"""Drawn tokens follow the exact softmax with temperature and top-p, whatever the shortcuts."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.stats import chisquare

from personae.api.requests import Sampling
from personae.inference.torch_engine import sampling as module
from personae.inference.torch_engine.sampling import draw, uniforms


def _exact(logits: torch.Tensor, sampling: Sampling) -> NDArray[np.float64]:
    """Return the requested distribution, by sorting everything in float64."""
    p = (logits.double() / sampling.temperature).softmax(-1).numpy()
    order = np.argsort(-p, kind="stable")
    before = np.cumsum(p[order]) - p[order]
    p[order[before >= sampling.top_p]] = 0
    nucleus: NDArray[np.float64] = p / p.sum()
    return nucleus


def _spread(count: int) -> torch.Tensor:
    """Return ``count`` evenly spread uniform numbers: a deterministic sample."""
    return (torch.arange(count, dtype=torch.float64) + 0.5).div(count).float()


LOGITS = torch.randn(500, generator=torch.Generator().manual_seed(3)) * 2


@pytest.mark.parametrize("candidates", [4, 64, 500])
@pytest.mark.parametrize(("temperature", "top_p"), [(0.7, 0.9), (1.5, 0.95), (1, 1), (0.2, 0.5)])
def test_frequencies_are_the_exact_probabilities(
    monkeypatch: pytest.MonkeyPatch, candidates: int, temperature: float, top_p: float
) -> None:
    monkeypatch.setattr(module, "_CANDIDATES", candidates)
    sampling = Sampling(temperature=temperature, top_p=top_p)
    count = 20_000
    drawn = draw(LOGITS.expand(count, -1), sampling, _spread(count)).numpy()
    expected = _exact(LOGITS, sampling)
    frequencies = np.bincount(drawn, minlength=500) / count
    # Evenly spread numbers hit each token's share to within one number at either end.
    assert np.abs(frequencies - expected).max() <= 2.5 / count
    assert not frequencies[expected == 0].any()


def test_seeded_draws_pass_a_chi_square_test() -> None:
    sampling = Sampling(temperature=0.8, top_p=0.9)
    uniform = torch.from_numpy(np.concatenate([uniforms(seed, 40) for seed in range(500)]))
    drawn = draw(LOGITS.expand(len(uniform), -1), sampling, uniform).numpy()
    expected = _exact(LOGITS, sampling) * len(uniform)
    observed = np.bincount(drawn, minlength=500)
    kept = expected > 0
    assert not observed[~kept].any()
    assert chisquare(observed[kept], expected[kept]).pvalue > 0.01


def test_temperature_zero_is_greedy() -> None:
    assert draw(LOGITS[None], Sampling(temperature=0), torch.zeros(1)).item() == LOGITS.argmax()


def test_a_row_does_not_depend_on_the_others_even_when_one_needs_all_candidates() -> None:
    rows = torch.stack([LOGITS, torch.zeros(500), LOGITS * 9]).bfloat16()
    sampling, uniform = Sampling(temperature=1, top_p=0.97), torch.tensor([0.3, 0.999, 0.6])
    together = draw(rows, sampling, uniform)
    alone = [draw(rows[i : i + 1], sampling, uniform[i : i + 1]).item() for i in range(3)]
    assert together.tolist() == alone


@pytest.mark.parametrize("top_p", [0.9, 1.0])
def test_the_largest_uniform_number_draws_a_possible_token(top_p: float) -> None:
    logits = torch.full((1, 500), -1e4)
    logits[0, [7, 9]] = torch.tensor([1.0, 2.0])
    largest = torch.tensor([1 - 2.0**-24])
    assert draw(logits, Sampling(temperature=1, top_p=top_p), largest).item() in (7, 9)


def test_streams_of_seeds_are_reproducible_different_and_prefixes_of_longer_ones() -> None:
    assert (uniforms(5, 10) == uniforms(5, 20)[:10]).all()
    assert (uniforms(5, 10) != uniforms(6, 10)).all()
    assert uniforms(2**63 - 1, 1000).max() < 1


@pytest.mark.parametrize("width", [7, 96, 256, 500])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_greedy_takes_the_first_of_the_largest(width: int, dtype: torch.dtype) -> None:
    logits = torch.randint(0, 9, (40, width), generator=torch.Generator().manual_seed(1)).to(dtype)
    drawn = draw(logits, Sampling(temperature=0), torch.zeros(40))
    assert drawn.tolist() == [row.index(max(row)) for row in logits.tolist()]


@pytest.mark.parametrize("width", [7, 100, 512, 6144])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("largest_entries", ["anywhere", "in one column", "side by side"])
def test_the_likeliest_tokens_are_those_of_a_full_sort(
    width: int, dtype: torch.dtype, largest_entries: str
) -> None:
    logits = torch.randn(20, width, generator=torch.Generator().manual_seed(1)).to(dtype)
    if largest_entries == "in one column":
        logits[:, 3::512] += 10
    elif largest_entries == "side by side":
        logits[:, width // 2 :][:, :64] += 10
    count = min(64, width)
    top, tokens = module._likeliest_of(logits, count)
    assert torch.equal(top, logits.sort(-1, descending=True).values[:, :count])
    assert torch.equal(logits.gather(1, tokens), top)
    assert all(len(set(row)) == count for row in tokens.tolist())
