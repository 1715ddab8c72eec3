"""Judged means corrected for the judge's errors: unbiased, with the judge's own uncertainty."""

from __future__ import annotations

import numpy as np
import pytest

from personae.science.misclassification import corrected_change, corrected_for_judge, score_line
from personae.science.resampling import Bootstrap, Interval

SCALE = (0.0, 100.0)


def judge(labels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Pull every label to the middle and add 10 points."""
    return 10 + 0.6 * labels + rng.normal(0, 10, len(labels))


def test_a_mean_of_a_biased_judge_is_corrected_whatever_the_share_of_high_labels() -> None:
    hits, estimates = [], []
    for seed in range(100):
        rng = np.random.default_rng(seed)
        labelled = rng.choice((5.0, 95.0), 80)
        line = score_line(judge(labelled, rng), labelled, np.arange(80) // 4, Bootstrap(200, seed))
        study = rng.choice((5.0, 95.0), 300, p=(0.8, 0.2))
        found = corrected_for_judge(judge(study, rng), line, SCALE, seed)
        estimates.append(found.estimate)
        hits.append(found.low <= 23.0 <= found.high)
    assert np.mean(estimates) == pytest.approx(23.0, abs=1.0)
    assert 0.88 <= np.mean(hits) <= 0.99


def test_few_labels_widen_the_interval() -> None:
    rng = np.random.default_rng(0)
    study = judge(rng.choice((5.0, 95.0), 300), rng)
    widths = []
    for n in (24, 240):
        labelled = rng.choice((5.0, 95.0), n)
        line = score_line(judge(labelled, rng), labelled, np.arange(n) // 2, Bootstrap(300, 1))
        found = corrected_for_judge(study, line, SCALE, 0)
        widths.append(found.high - found.low)
    assert widths[0] > 1.5 * widths[1]


def test_a_judge_that_sees_nothing_corrects_nothing() -> None:
    rng = np.random.default_rng(0)
    labels = rng.choice((5.0, 95.0), 60)
    line = score_line(rng.normal(50, 10, 60), labels, np.arange(60), Bootstrap(200, 0))
    assert np.isnan(corrected_for_judge(np.full(10, 50.0), line, SCALE, 0).estimate)
    assert score_line([1.0, 2.0, 3.0], [5.0, 5.0, 5.0], ["a", "b", "c"], Bootstrap(10, 0)) is None
    assert np.isnan(corrected_for_judge([1.0, 2.0], None, SCALE, 0).low)


def test_a_change_is_divided_by_the_judge_s_slope_and_holds_its_error() -> None:
    exact = corrected_change(Interval(12.0, 6.0, 18.0), Interval(0.6, 0.6, 0.6))
    assert exact == pytest.approx((20.0, 10.0, 30.0))
    wide = corrected_change(Interval(12.0, 6.0, 18.0), Interval(0.6, 0.3, 0.9))
    assert wide.estimate == pytest.approx(20.0)
    assert wide.low == pytest.approx(20.0 - np.hypot(6.0, 20.0 * 0.3) / 0.6)
    assert np.isnan(corrected_change(Interval(12.0, 6.0, 18.0), Interval(0.3, -0.1, 0.7)).low)


def test_corrected_changes_cover_the_true_change() -> None:
    """Judge and study are drawn anew 200 times: 92 to 98 % of the intervals hold the change."""
    from personae.judging.agreement import slope
    from personae.science.cluster_inference import mean_of_clusters

    hits = []
    for seed in range(200):
        rng = np.random.default_rng(seed)
        labels = rng.choice((5.0, 95.0), 80)
        known = [
            {"label": label, "score": score}
            for label, score in zip(labels, judge(labels, rng), strict=True)
        ]
        found_slope = slope(known, "trait", np.arange(80) // 4)
        truth = 20.0 + rng.normal(0, 10.0, 12)
        found = mean_of_clusters(0.6 * truth + rng.normal(0, 5, 12), np.arange(12))
        corrected = corrected_change(found.interval, found_slope)
        hits.append(corrected.low <= 20.0 <= corrected.high)
    assert 0.92 <= np.mean(hits) <= 0.99
