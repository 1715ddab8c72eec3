"""Intervals, permutation tests and summaries against known or simulated truths."""

import numpy as np
import pytest
from scipy.stats import pearsonr, rankdata
from sklearn.metrics import roc_auc_score

from personae.science.permutations import permutation_p, permuted_labels
from personae.science.resampling import (
    Bootstrap,
    ClusteredOutcomes,
    bootstrap_contrast,
    bootstrap_mean,
    midranks,
    percentile_bounds,
)
from personae.science.statistics import auc, auc_interval, correlations, summarise, wilson

from .planted import PLAN


def test_cluster_bootstrap_is_wider_than_one_over_rollouts() -> None:
    rng = np.random.default_rng(0)
    clusters = np.repeat(np.arange(10), 20)
    values = rng.standard_normal(10)[clusters] + 0.1 * rng.standard_normal(200)
    clustered = bootstrap_mean(values, clusters, PLAN)
    naive = bootstrap_mean(values, np.arange(200), PLAN)
    assert clustered.estimate == pytest.approx(values.mean())
    assert clustered.high - clustered.low > 2.5 * (naive.high - naive.low)


def test_bootstrap_intervals_cover_the_truth() -> None:
    covered = 0
    for seed in range(200):
        rng = np.random.default_rng(seed)
        clusters = np.repeat(np.arange(30), 3)
        values = rng.standard_normal(30)[clusters] + rng.standard_normal(90)
        bounds = bootstrap_mean(values, clusters, Bootstrap(200, seed))
        covered += bounds.low <= 0.0 <= bounds.high
    assert 0.87 < covered / 200 < 0.99


def test_unscored_values_and_empty_input_give_no_numbers() -> None:
    some = bootstrap_mean([1.0, np.nan, 3.0], ["a", "b", "c"], PLAN)
    assert some.estimate == 2.0
    assert np.isnan(bootstrap_mean([np.nan], ["a"], PLAN)).all()


def test_one_cluster_gives_no_interval() -> None:
    result = bootstrap_mean([1.0, 2.0], ["q", "q"], PLAN)
    assert result.estimate == 1.5
    assert np.isnan(result[1:]).all()


def test_labels_must_be_one_dimensional() -> None:
    with pytest.raises(ValueError, match=r"shape \[n\], got \(2, 2\)"):
        bootstrap_mean([1.0, 2.0], [("role", "a"), ("role", "b")], PLAN)


def test_same_plan_gives_the_same_interval() -> None:
    values, clusters = np.arange(20.0), np.arange(20) % 5
    assert bootstrap_mean(values, clusters, PLAN) == bootstrap_mean(values, clusters, PLAN)


def test_percentile_bounds_skip_undefined_draws() -> None:
    draws = np.column_stack([np.arange(101.0), np.full(101, np.nan)])
    draws[0, 0] = np.nan
    low, high = percentile_bounds(draws, level=0.9)
    assert low[0] == pytest.approx(1 + 0.05 * 99)
    assert high[0] == pytest.approx(1 + 0.95 * 99)
    assert np.isnan([low[1], high[1]]).all()


def test_paired_contrast_is_narrow_where_questions_differ_in_difficulty() -> None:
    rng = np.random.default_rng(0)
    questions = np.repeat(np.arange(12), 4)
    difficulty = 10.0 * rng.standard_normal(12)[questions]
    control = ClusteredOutcomes(difficulty + 0.1 * rng.standard_normal(48), questions)
    treated = ClusteredOutcomes(difficulty - 1.0 + 0.1 * rng.standard_normal(48), questions)
    result = bootstrap_contrast(treated, control, PLAN)
    assert result.low < -1.0 < result.high
    assert result.high - result.low < 0.2


def test_relative_contrast_and_nothing_to_reduce() -> None:
    treated, control = (
        ClusteredOutcomes([1.0, 1.0], ["a", "b"]),
        ClusteredOutcomes([4.0, None], ["a", "b"]),
    )
    assert bootstrap_contrast(treated, control, PLAN, relative=True).estimate == -0.75
    nothing = bootstrap_contrast(
        treated, ClusteredOutcomes([0.0, 0.0], ["a", "b"]), PLAN, relative=True
    )
    assert np.isnan(nothing).all()
    assert np.isnan(bootstrap_contrast(treated, ClusteredOutcomes([None], ["a"]), PLAN)).all()


def test_permuted_labels_stay_within_their_strata() -> None:
    labels = np.array([True, False, False, True, False, True, True, True])
    strata = np.array(["b", "a", "b", "a", "b", "a", "a", "b"])
    shuffled = permuted_labels(labels, 400, seed=0, strata=strata)
    for stratum in ("a", "b"):
        here = strata == stratum
        assert (shuffled[:, here].sum(axis=1) == labels[here].sum()).all()
        share = labels[here].mean()
        np.testing.assert_allclose(shuffled[:, here].mean(axis=0), share, atol=0.08)
    assert (permuted_labels(labels, 5, seed=0).sum(axis=1) == labels.sum()).all()


def test_permutation_p_counts_the_observed_value() -> None:
    null = np.array([[-3.0], [0.0], [1.0], [2.0]])
    assert permutation_p([5.0], null).tolist() == [1 / 5]
    assert permutation_p([1.0], null).tolist() == [3 / 5]
    assert permutation_p([-3.0], null, "less").tolist() == [2 / 5]
    assert permutation_p([-2.0], null, "two-sided").tolist() == [3 / 5]


@pytest.mark.parametrize("null", [[], [0.1, np.nan]])
def test_undefined_null_is_refused(null: list[float]) -> None:
    with pytest.raises(ValueError, match="empty or holds NaN"):
        permutation_p(0.0, null)


def test_midranks_equal_scipy() -> None:
    values = np.random.default_rng(0).integers(0, 9, 50)
    np.testing.assert_array_equal(midranks(values), rankdata(values))


def test_auc_agrees_with_scikit_learn_per_layer_and_with_ties() -> None:
    rng = np.random.default_rng(0)
    positive, negative = rng.integers(1, 9, (20, 3)), rng.integers(0, 7, (35, 3))
    labels = np.repeat([1, 0], [20, 35])
    expected = [
        roc_auc_score(labels, np.concatenate([positive[:, i], negative[:, i]])) for i in range(3)
    ]
    np.testing.assert_allclose(auc(positive.astype(float), negative.astype(float)), expected)


def test_auc_interval_is_student_s_on_the_logits_without_each_cluster() -> None:
    rng = np.random.default_rng(0)
    positive, negative = rng.standard_normal(20) + 1.0, rng.standard_normal(30)
    of_positive, of_negative = np.arange(20) % 5, np.arange(30) % 5
    found = auc_interval(positive, negative, of_positive, of_negative)
    shares = [float(auc(positive[of_positive != c], negative[of_negative != c])) for c in range(5)]
    logits = np.log(np.array(shares) / (1 - np.array(shares)))
    error = np.sqrt(4 / 5 * ((logits - logits.mean()) ** 2).sum())
    middle = np.log(found.estimate / (1 - found.estimate))
    expected = 1 / (1 + np.exp(-(middle - 2.776445 * error)))
    assert found.low == pytest.approx(expected, abs=1e-6)


def test_an_auc_without_a_misplaced_pair_has_the_bound_of_as_many_trials() -> None:
    clusters = np.arange(6)
    found = auc_interval(clusters + 10.0, clusters + 0.0, clusters, clusters)
    assert (found.estimate, found.high) == (1.0, 1.0)
    assert found.low == pytest.approx(wilson(6, 6).low)
    alone = auc_interval(clusters + 10.0, clusters + 0.0, np.zeros(6), clusters)
    assert np.isnan(alone.low)


@pytest.mark.parametrize("shift", [0.0, 1.5])
def test_intervals_of_auc_and_correlation_cover_with_six_clusters(shift: float) -> None:
    """Of 400 simulated studies with effects of six questions, 92 to 98 % hold the true value."""
    rng = np.random.default_rng(3)
    questions = np.repeat(np.arange(6), 5)
    aucs, correlated = [], []
    for _ in range(400):
        own, other = rng.normal(0, 0.7, (2, 6))[:, questions]
        a, b = (own + rng.normal(size=30)) + shift, other + rng.normal(size=30)
        aucs.append(auc_interval(a, b, questions, questions))
        x = own + rng.normal(size=30)
        y = shift * x + other + rng.normal(size=30)
        correlated.append(correlations(x, y, np.zeros(30), questions).pooled)
    for found in (aucs, correlated):
        truth = np.mean([f.estimate for f in found])
        covered = np.mean([f.low <= truth <= f.high for f in found])
        assert 0.92 <= covered <= 0.98, covered


def test_auc_interval_covers_half_for_equal_and_excludes_it_for_shifted() -> None:
    rng = np.random.default_rng(1)
    clusters = np.arange(120) % 12
    same, other = rng.standard_normal((2, 120))
    equal = auc_interval(same, other, clusters, clusters)
    shifted = auc_interval(same + 2.0, other, clusters, clusters)
    assert equal.low < 0.5 < equal.high
    assert shifted.low > 0.8


def test_auc_refuses_empty_sides_and_nan() -> None:
    with pytest.raises(ValueError, match="0 positives and 2 negatives"):
        auc(np.empty(0), np.ones(2))
    with pytest.raises(ValueError, match="holds NaN"):
        auc(np.array([np.nan]), np.ones(2))


def test_pooled_correlation_is_inflated_by_conditions_and_within_is_not() -> None:
    rng = np.random.default_rng(0)
    conditions = np.repeat(["suppress", "neutral", "induce"], 80)
    offset = np.repeat([-5.0, 0.0, 5.0], 80)
    x, y = offset + rng.standard_normal(240), offset + rng.standard_normal(240)
    y[:3] = np.nan
    result = correlations(x, y, conditions, np.arange(240) % 20)
    assert result.pooled.low > 0.9
    assert result.within.low < 0.0 < result.within.high
    assert result[2:] == (237, 3, 3)
    assert result.pooled.estimate == pytest.approx(pearsonr(x[3:], y[3:]).statistic)


def test_within_correlation_is_found_where_conditions_hide_it() -> None:
    rng = np.random.default_rng(0)
    conditions = np.repeat([0, 1, 2], 80)
    x = rng.standard_normal(240)
    y = x + 0.5 * rng.standard_normal(240)
    result = correlations(x + 5 * conditions, y - 5 * conditions, conditions, np.arange(240))
    assert result.within.low > 0.8
    assert result.pooled.high < 0.0


def test_constant_or_absent_variables_have_no_correlation() -> None:
    constant = correlations([0.1, 0.1, 0.1], [1, 2, 3], [0, 0, 0], [0, 1, 2])
    assert np.isnan(constant.pooled.estimate)
    absent = correlations([1.0], [None], [0], [0])
    assert (absent.n, absent.n_unscored) == (0, 1)
    assert np.isnan(absent.within).all()


def test_summary_reports_what_is_missing_and_its_bounds() -> None:
    result = summarise([100, 50, None, np.nan], list("abcd"), PLAN, scale=(0.0, 100.0))
    assert (result.n, result.n_scored, result.n_unscored) == (4, 2, 2)
    assert result.mean.estimate == 75.0
    assert (result.if_lowest, result.if_highest) == (37.5, 87.5)


def test_summary_of_nothing_scored_has_no_mean() -> None:
    result = summarise([None, None], ["a", "b"], PLAN, scale=(0.0, 3.0))
    assert np.isnan(result.mean).all()
    assert (result.if_lowest, result.if_highest) == (0.0, 3.0)


def test_summary_refuses_scores_off_the_scale_and_no_items() -> None:
    with pytest.raises(ValueError, match=r"101\.0 is outside the scale 0-100"):
        summarise([101], ["a"], PLAN, scale=(0, 100))
    with pytest.raises(ValueError, match="0 scores"):
        summarise([], [], PLAN, scale=(0, 100))


@pytest.mark.parametrize(
    ("successes", "n", "low", "high"),
    [(3, 10, 0.1078, 0.6032), (0, 8, 0.0, 0.3244), (40, 40, 0.9124, 1.0)],
)
def test_wilson_gives_the_textbook_interval(
    successes: int, n: int, low: float, high: float
) -> None:
    result = wilson(successes, n)
    assert result.estimate == successes / n
    np.testing.assert_allclose(result[1:], [low, high], atol=1e-4)


def test_wilson_without_trials_knows_nothing() -> None:
    assert wilson(0, 0)[1:] == (0.0, 1.0)
    with pytest.raises(ValueError, match="3 successes of 2"):
        wilson(3, 2)
