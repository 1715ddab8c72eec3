"""Jackknife intervals: their errors are those of textbooks, and they stay within bounds."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import t as student

from personae.science.cluster_inference import mean_of_clusters, student_interval
from personae.science.jackknife import (
    EXPLAINED,
    FISHER,
    IDENTITY,
    LOG,
    LOGIT,
    crossed_jackknife_interval,
    delete_many_interval,
    jackknife_error,
    jackknife_interval,
    mean_correlation,
    scaled_interval,
    without_each,
)


def test_the_error_of_a_mean_is_the_textbook_one() -> None:
    values = np.array([1.0, 4.0, 2.0, 7.0, 3.0])
    left_out = [np.delete(values, i).mean() for i in range(5)]
    error, used = jackknife_error(left_out)
    assert used == 5
    assert error == pytest.approx(values.std(ddof=1) / np.sqrt(5))
    found = jackknife_interval(values.mean(), left_out, IDENTITY)
    assert found.high == pytest.approx(values.mean() + student.ppf(0.975, 4) * error)


def test_scales_turn_back_and_keep_bounds() -> None:
    shares = np.array([0.02, 0.5, 0.97])
    for scale in (LOGIT, FISHER, EXPLAINED):
        np.testing.assert_allclose(scale.back(scale.forward(shares)), shares, atol=1e-9)
    found = jackknife_interval(0.95, [0.9, 0.99, 0.94, 0.97], LOGIT)
    assert 0.0 < found.low < 0.95 < found.high < 1.0
    explained = jackknife_interval(0.9, [0.5, 0.99, 0.9, 0.8], EXPLAINED)
    assert explained.low < 0.9 < explained.high <= 1.0


def test_undefined_values_are_left_out_and_two_clusters_give_no_interval() -> None:
    error, used = jackknife_error([0.1, np.nan, 0.3, 0.2])
    assert used == 3
    assert error > 0
    assert np.isnan(jackknife_interval(0.2, [0.1, 0.3], IDENTITY).low)


def test_each_cluster_is_left_out_once() -> None:
    left = without_each(["b", "a", "b"])
    assert (left.counts @ left.total([1.0, 10.0, 100.0])).tolist() == [101.0, 10.0]


def crossed(values: np.ndarray) -> tuple[float, float, float]:
    """Interval of the mean of ``values [rows, columns]`` over both kinds of clusters."""
    n, m = values.shape
    total, cells = values.sum(), values.size
    return crossed_jackknife_interval(
        values.mean(),
        [np.delete(values, i, axis=0).mean() for i in range(n)],
        [np.delete(values, j, axis=1).mean() for j in range(m)],
        (total - values) / (cells - 1),
    )


def test_an_interval_over_crossed_clusters_is_that_of_the_kind_that_varies() -> None:
    rng = np.random.default_rng(0)
    rows = np.repeat(rng.normal(size=(10, 1)), 4, axis=1)
    means = rows.mean(axis=1)
    plain = jackknife_interval(
        means.mean(), [np.delete(means, i).mean() for i in range(10)], IDENTITY
    )
    assert crossed(rows) == pytest.approx(plain)  # nine degrees of freedom, not three
    both = crossed(rows + rng.normal(size=(1, 4)))
    assert both[2] - both[1] > 1.5 * (plain.high - plain.low)


def test_crossed_intervals_hold_the_mean() -> None:
    rng = np.random.default_rng(1)
    held = 0
    for _ in range(400):
        values = rng.normal(size=(8, 1)) + rng.normal(size=(1, 6)) + rng.normal(size=(8, 6))
        _, low, high = crossed(values)
        held += low <= 0.0 <= high
    assert 0.92 <= held / 400 <= 0.985


def test_a_mean_correlation_has_an_interval_within_its_bounds() -> None:
    found = mean_correlation([0.9, 0.6, 0.95, 0.8, 0.99])
    assert -1.0 <= found.low < found.estimate < found.high <= 1.0
    assert found.estimate - found.low > found.high - found.estimate
    perfect = mean_correlation([1.0] * 5)
    assert perfect.low < 1.0 == perfect.high
    assert np.isnan(mean_correlation([0.5, 0.6]).low)


def test_deleting_a_third_gives_the_textbook_error_of_a_mean() -> None:
    rng = np.random.default_rng(0)
    values = rng.normal(size=30)
    draws = [values[rng.permutation(30)[10:]].mean() for _ in range(20_000)]
    found = delete_many_interval(float(values.mean()), draws, 30, 10, IDENTITY)
    expected = student_interval(values.mean(), values.std(ddof=1) / np.sqrt(30), 29, 0.95)
    np.testing.assert_allclose(found, expected, atol=0.01)


def test_deleting_a_third_stays_positive_on_the_log_scale_and_needs_clusters() -> None:
    low, high = delete_many_interval(0.1, [0.02, 0.1, 0.5], 12, 4, LOG)[1:]
    assert 0.0 < low < 0.1 < high
    assert np.isnan(delete_many_interval(0.1, [0.1, 0.2], 2, 1, LOG)[1:]).all()
    assert np.isnan(delete_many_interval(0.1, [np.nan, 0.2], 12, 4, LOG)[1:]).all()


def test_a_known_unit_adds_nothing_and_an_uncertain_one_widens_both_sides() -> None:
    found = student_interval(2.0, 0.1, 9, 0.95)
    assert scaled_interval(found, np.ones(8)) == pytest.approx(found)
    assert scaled_interval(found, [0.5, 2.0]) == found
    wider = scaled_interval(found, [0.8, 1.0, 1.3, 0.9, 1.1])
    assert wider.low < found.low < 2.0 < found.high < wider.high
    assert found.low - wider.low == pytest.approx(wider.high - found.high)
    of_loss = scaled_interval(student_interval(-2.0, 0.1, 9, 0.95), [0.8, 1.0, 1.3, 0.9, 1.1])
    assert of_loss == pytest.approx((-2.0, -wider.high, -wider.low))


def test_a_mean_in_an_estimated_unit_is_covered_as_often_as_stated() -> None:
    """Student's interval of the mean over an estimated standard deviation covers far too rarely."""
    rng, truth, k = np.random.default_rng(3), 3.0, 8
    covered = np.zeros(2)
    for _ in range(400):
        values, others = rng.normal(truth, 0.5, k), rng.normal(0.0, 1.0, k)
        unit = others.std(ddof=1)
        units = [np.delete(others, i).std(ddof=1) / unit for i in range(k)]
        plain = mean_of_clusters(values / unit, np.arange(k)).interval
        for i, found in enumerate((plain, scaled_interval(plain, units))):
            covered[i] += found.low <= truth <= found.high
    assert covered[0] / 400 < 0.6
    assert 0.92 <= covered[1] / 400 <= 0.98
