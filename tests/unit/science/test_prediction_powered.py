"""Judged means corrected by labels of a sample: unbiased, and narrower where the judge is good."""

from __future__ import annotations

import numpy as np
import pytest

from personae.science.prediction_powered import corrected_mean


def draw(rng: np.random.Generator, noise: float, bias: float) -> tuple[np.ndarray, ...]:
    """Return truth and judge of 600 responses, and the places of 60 labelled ones."""
    truth = rng.normal(50, 20, 600)
    judge = truth + bias + rng.normal(0, noise, 600)
    return truth, judge, rng.choice(600, 60, replace=False)


@pytest.mark.parametrize("bias", [-15.0, 0.0, 15.0])
def test_a_biased_judge_is_corrected_and_the_interval_covers(bias: float) -> None:
    hits, estimates = [], []
    for seed in range(150):
        truth, judge, at = draw(np.random.default_rng(seed), 8.0, bias)
        found = corrected_mean(judge, judge[at], truth[at], np.ones(60), np.arange(60))
        hits.append(found.low <= 50.0 <= found.high)
        estimates.append(found.estimate)
    assert np.mean(estimates) == pytest.approx(50.0, abs=0.5)
    assert 0.90 <= np.mean(hits) <= 0.99


def test_a_good_judge_narrows_the_interval_and_a_useless_one_does_no_harm() -> None:
    rng = np.random.default_rng(0)
    truth, judge, at = draw(rng, 5.0, 3.0)
    good = corrected_mean(judge, judge[at], truth[at], np.ones(60), np.arange(60))
    noise = rng.normal(0, 20, 600)
    useless = corrected_mean(noise, noise[at], truth[at], np.ones(60), np.arange(60))
    labels_alone = 2 * 2.0 * truth[at].std(ddof=1) / np.sqrt(60)
    assert good.high - good.low < 0.6 * labels_alone
    assert useless.high - useless.low == pytest.approx(labels_alone, rel=0.1)


def test_weights_undo_an_uneven_sample() -> None:
    rng = np.random.default_rng(1)
    truth = np.concatenate([np.full(500, 0.0), np.full(100, 1.0)])
    judge = truth + rng.normal(0, 0.1, 600)
    at = np.concatenate([np.arange(30), np.arange(500, 530)])
    weights = np.concatenate([np.full(30, 500 / 30), np.full(30, 100 / 30)])
    found = corrected_mean(judge, judge[at], truth[at], weights, np.arange(60))
    assert found.estimate == pytest.approx(1 / 6, abs=0.02)


def test_one_question_is_too_little() -> None:
    with pytest.raises(ValueError, match="1 question"):
        corrected_mean([1.0, 2.0], [1.0], [1.0], [1.0], ["q"])
