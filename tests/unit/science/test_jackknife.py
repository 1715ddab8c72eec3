"""Jackknife intervals: their errors are those of textbooks, and they stay within bounds."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import t as student

from personae.science.jackknife import (
    EXPLAINED,
    FISHER,
    IDENTITY,
    LOGIT,
    jackknife_error,
    jackknife_interval,
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
