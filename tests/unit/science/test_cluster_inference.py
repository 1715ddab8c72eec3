"""Few clusters: intervals that cover, exact sign flips and permutations, crossed clusters."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from personae.science.cluster_inference import (
    mean_of_clusters,
    mean_of_crossed_clusters,
    paired_proportions,
    sign_flip_p,
    welch,
)


def test_the_mean_of_clusters_agrees_with_a_t_test_on_their_means() -> None:
    values, clusters = [1.0, 3.0, 4.0, 8.0, np.nan, 5.0], ["a", "a", "b", "c", "c", "c"]
    found = mean_of_clusters(values, clusters)
    means = [2.0, 4.0, 6.5]
    expected = stats.ttest_1samp(means, 0.0).confidence_interval(0.95)
    assert found.interval == pytest.approx((np.mean(means), expected.low, expected.high))
    assert (found.clusters, found.n) == (3, 5)
    assert found.p_greater == 1 / 8
    assert found.p_less == 1.0


def test_one_cluster_has_no_interval() -> None:
    found = mean_of_clusters([1.0, 2.0], ["a", "a"])
    assert found.interval.estimate == 1.5
    assert np.isnan(found.interval.low)


def test_sign_flips_are_exact_and_agree_with_many_random_ones() -> None:
    values = np.random.default_rng(0).normal(0.4, 1, 12)
    greater, less = sign_flip_p(values)
    drawn = np.random.default_rng(1).choice((1.0, -1.0), (200_000, 12)) @ values
    assert greater == pytest.approx((drawn >= values.sum()).mean(), abs=0.005)
    assert less == pytest.approx((drawn <= values.sum()).mean(), abs=0.005)
    assert sign_flip_p(np.ones(14)) == (1 / 2**14, 1.0)
    assert sign_flip_p(np.ones(20))[0] == pytest.approx(1 / 10_000)


def test_crossed_clusters_have_the_freedom_of_the_fewer_ones() -> None:
    rng = np.random.default_rng(0)
    rows, columns = np.repeat(np.arange(4), 30), np.tile(np.arange(30), 4)
    values = rng.normal(0, 3, 4)[rows] + rng.normal(0, 0.1, 120)
    found = mean_of_crossed_clusters(values, rows, columns)
    one_way = mean_of_clusters(values, rows)
    assert found.clusters == 4
    width, other = (i.interval.high - i.interval.low for i in (found, one_way))
    assert width == pytest.approx(other, rel=0.05)  # the four rows are what varies
    assert found.p_greater >= 1 / 16


def test_an_unpaired_comparison_agrees_with_scipy() -> None:
    a, b = [1.0, 2.0, 4.0, 7.0], [3.0, 8.0, 9.0, 9.5]
    found = welch(a, b)
    test = stats.ttest_ind(a, b, equal_var=False)
    bounds = test.confidence_interval(0.95)
    assert found.interval == pytest.approx((np.mean(a) - np.mean(b), bounds.low, bounds.high))
    permuted = stats.permutation_test(
        (a, b), lambda x, y: np.mean(x) - np.mean(y), alternative="less", n_resamples=np.inf
    )
    assert found.p_less == pytest.approx(permuted.pvalue)


def test_no_flipped_answer_still_leaves_room_for_a_loss() -> None:
    found = paired_proportions(np.ones(16), np.ones(16))
    assert found.estimate == 0.0
    assert found.low < -0.1
    both = paired_proportions([1, 1, 1, 0], [1, 0, 0, 0])
    assert both.estimate == -0.5
    assert both.low < -0.5 < both.high


def test_paired_bounds_are_those_of_the_score_test() -> None:
    """Without changed items the score equation has the solution z^2 / (n + z^2)."""
    z2 = stats.norm.ppf(0.975) ** 2
    found = paired_proportions(np.ones(16), np.ones(16))
    assert found.high == pytest.approx(z2 / (16 + z2))
    assert found.low == -found.high
    # 44 items of which one is lost; the mirror image of one won.
    lost, won = ([1] * 44, [1] * 43 + [0]), ([1] * 43 + [0], [1] * 44)
    down, up = paired_proportions(*lost), paired_proportions(*won)
    assert (down.low, down.high) == pytest.approx((-up.high, -up.low))
    assert down.low < -1 / 44 < 0.0 < down.high


def test_a_harmful_cap_is_seldom_called_harmless() -> None:
    """At a loss of exactly 0.1 the lower bound is above -0.1 in at most 2.5% of studies."""
    rng, above = np.random.default_rng(0), 0
    for _ in range(1000):
        right = rng.random(100) < 0.6
        kept = right & (rng.random(100) >= 0.1 / 0.6)
        above += paired_proportions(right, kept).low > -0.1
    assert above / 1000 < 0.04
