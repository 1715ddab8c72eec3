"""Summaries, classification and correlation with honest intervals.

A judge score that is missing is NaN (``None`` on the way in): it is never turned into a number and
never dropped in silence. Intervals resample clusters (questions, conversations), never rollouts;
see :mod:`personae.science.resampling` and :mod:`personae.science.jackknife`.
"""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from personae.science.jackknife import FISHER, LOGIT, jackknife_interval, without_each
from personae.science.resampling import (
    MIN_CLUSTERS,
    Bootstrap,
    Interval,
    Scores,
    bootstrap_mean,
    encode,
    midranks,
    ratio,
)

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]


class ScoredSummary(NamedTuple):
    """Mean of judge scores with what is missing.

    Attributes
    ----------
    n, n_scored, n_unscored
        Items in all, with and without a score.
    mean
        Mean over scored items with its interval; NaN when nothing is scored.
    if_lowest, if_highest
        Mean as if every unscored item had the lowest, or the highest, score of the scale: the
        truth lies between them whatever the reason for missing.
    """

    n: int
    n_scored: int
    n_unscored: int
    mean: Interval
    if_lowest: float
    if_highest: float


def summarise(
    scores: Scores, clusters: ArrayLike, plan: Bootstrap, *, scale: tuple[float, float]
) -> ScoredSummary:
    """Summarise judge scores ``[n]`` (NaN or ``None``: unscored) clustered by ``clusters [n]``.

    Raises
    ------
    ValueError
        When a score lies outside ``scale``, or there are no items.
    """
    data = np.asarray(scores, dtype=np.float64)
    low, high = scale
    if data.size == 0:
        raise ValueError("cannot summarise 0 scores")
    if (outside := data[(data < low) | (data > high)]).size:
        raise ValueError(f"score {outside[0]} is outside the scale {low}-{high}")
    missing = np.isnan(data)
    n_unscored = int(missing.sum())
    return ScoredSummary(
        n=data.size,
        n_scored=data.size - n_unscored,
        n_unscored=n_unscored,
        mean=bootstrap_mean(data, clusters, plan),
        if_lowest=float(np.where(missing, low, data).mean()),
        if_highest=float(np.where(missing, high, data).mean()),
    )


def wilson(successes: int, n: int, level: float = 0.95) -> Interval:
    """Wilson interval of a proportion; estimate NaN and bounds 0-1 when ``n`` is 0.

    Raises
    ------
    ValueError
        Unless ``0 <= successes <= n``.
    """
    # Imported here: scipy.stats takes an aggregate node more time than its own work.
    from scipy.stats import binomtest

    if not 0 <= successes <= n:
        raise ValueError(f"{successes} successes of {n}: expected 0 <= successes <= n")
    if n == 0:
        return Interval(np.nan, 0.0, 1.0)
    bounds = binomtest(successes, n).proportion_ci(level, method="wilson")
    return Interval(successes / n, float(bounds.low), float(bounds.high))


def auc(positive: FloatArray, negative: FloatArray) -> FloatArray:
    """Probability that a positive exceeds a negative, ties counting half.

    Parameters
    ----------
    positive, negative
        ``[n, ...]`` and ``[m, ...]`` values; trailing axes (layers) are treated one by one.

    Raises
    ------
    ValueError
        When a side is empty or holds NaN.
    """
    both = np.concatenate([positive, negative]).astype(np.float64)
    n, m = len(positive), len(negative)
    if n == 0 or m == 0 or np.isnan(both).any():
        raise ValueError(f"AUC of {n} positives and {m} negatives: a side is empty or holds NaN")
    return auc_of_ranks(column_ranks(both)[:n].sum(axis=0), n, m)


def column_ranks(values: FloatArray) -> FloatArray:
    """Rank ``values [n, ...]`` from 1 along the first axis, ties sharing their mean rank."""
    return np.asarray(np.apply_along_axis(midranks, 0, values), dtype=np.float64)


def auc_of_ranks(rank_sum: FloatArray, n: int, m: int) -> FloatArray:
    """AUC from the sum of the ranks of ``n`` positives among ``n + m`` items.

    Ranks do not depend on which items are positive: ranked once, every shuffle of the labels costs
    one sum. Sums of half-integers are exact, so the result has the same bits in any order.
    """
    return np.asarray((rank_sum - n * (n + 1) / 2.0) / (n * m), dtype=np.float64)


def auc_interval(
    positive: FloatArray,
    negative: FloatArray,
    positive_clusters: ArrayLike,
    negative_clusters: ArrayLike,
    level: float = 0.95,
) -> Interval:
    """AUC of ``positive [n]`` over ``negative [m]`` with an interval over shared clusters.

    The interval is the delete-one-cluster jackknife on the logit scale. Where no pair is misplaced
    (or every pair), there is no spread to go by: the bound is Wilson's for as many trials as the
    side with fewer clusters has. NaN bounds with a side in fewer than two clusters, or with fewer
    than three clusters in all.
    """
    estimate = float(auc(positive, negative))
    groups = [np.unique(labels) for labels in (positive_clusters, negative_clusters)]
    fewest = min(len(names) for names in groups)
    if len(np.union1d(*groups)) < MIN_CLUSTERS or fewest < 2:
        return Interval(estimate, np.nan, np.nan)
    if estimate in (0.0, 1.0):
        bounds = wilson(round(estimate) * fewest, fewest, level)
        return Interval(estimate, bounds.low, bounds.high)
    left_out = auc_without_each(positive, negative, positive_clusters, negative_clusters)
    return jackknife_interval(estimate, left_out, LOGIT, level)


def auc_without_each(
    positive: FloatArray,
    negative: FloatArray,
    positive_clusters: ArrayLike,
    negative_clusters: ArrayLike,
) -> FloatArray:
    """AUC without each cluster ``[k]``, clusters in sorted order; half a pair from 0 and 1.

    NaN where a side is empty without the cluster.

    Notes
    -----
    Wins between every two clusters are counted once in a ``[clusters, clusters]`` matrix; the AUC
    without a cluster is then a quadratic form in it.
    """
    labels = np.concatenate([np.asarray(positive_clusters), np.asarray(negative_clusters)])
    left = without_each(labels)
    of_positive, of_negative = left.codes[: len(positive)], left.codes[len(positive) :]
    k = left.counts.shape[1]
    wins = np.empty((k, k))
    for other in range(k):
        rivals = np.sort(negative[of_negative == other])
        below = np.searchsorted(rivals, positive, side="left")
        tied_or_below = np.searchsorted(rivals, positive, side="right")
        wins[:, other] = np.bincount(of_positive, (below + tied_or_below) / 2.0, minlength=k)
    sizes = [left.counts @ np.bincount(codes, minlength=k) for codes in (of_positive, of_negative)]
    won = ((left.counts @ wins) * left.counts).sum(axis=1)
    return _inside(won, sizes[0] * sizes[1])


def _inside(won: FloatArray, pairs: FloatArray) -> FloatArray:
    """Share of pairs won, half a pair away from 0 and 1, so that it has a logit."""
    with np.errstate(invalid="ignore", divide="ignore"):
        share = np.clip(ratio(won, pairs), 0.5 / pairs, 1.0 - 0.5 / pairs)
    return np.where(pairs > 0.0, share, np.nan)


class Correlations(NamedTuple):
    """Pearson correlation over everything, and within conditions.

    Attributes
    ----------
    pooled
        All items together: inflated when conditions differ in both variables.
    within
        After the mean of each condition is removed from both variables.
    n, n_unscored, n_conditions
        Items used, items left out for a NaN, and conditions among those used.
    """

    pooled: Interval
    within: Interval
    n: int
    n_unscored: int
    n_conditions: int


def correlations(
    x: Scores, y: Scores, conditions: ArrayLike, clusters: ArrayLike, level: float = 0.95
) -> Correlations:
    """Pooled and within-condition correlation of ``x [n]`` and ``y [n]`` (PV, monitoring).

    Parameters
    ----------
    x, y
        Projection and score; pairs with a NaN (unscored) are left out and counted.
    conditions
        ``[n]`` system prompt or number of shots under which the item was generated.
    clusters
        ``[n]`` question labels; intervals are the delete-one-cluster jackknife of Fisher's z.
    """
    pair = np.stack([np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)])
    keep = ~np.isnan(pair).any(axis=0)
    n, n_unscored = int(keep.sum()), int((~keep).sum())
    if n == 0:
        empty = Interval(np.nan, np.nan, np.nan)
        return Correlations(empty, empty, 0, n_unscored, 0)
    # Centred first, so that sums of squares do not cancel to rounding errors.
    a, b = pair[:, keep] - pair[:, keep].mean(axis=1, keepdims=True)
    condition = encode(np.asarray(conditions)[keep])
    left = without_each(np.asarray(clusters)[keep])
    n_conditions, k = int(condition.max()) + 1, left.counts.shape[1]
    cell = left.codes * n_conditions + condition
    sums = [np.bincount(cell, v, k * n_conditions) for v in (a**0, a, b, a * a, b * b, a * b)]
    moments = np.stack(sums).reshape(6, k, n_conditions)
    observed = moments.sum(axis=1)
    remaining = observed[:, np.newaxis] - moments

    def result(pool: bool) -> Interval:
        parts = [m.sum(axis=-1, keepdims=True) if pool else m for m in (observed, remaining)]
        return jackknife_interval(
            float(_pearson_of_moments(parts[0])), _pearson_of_moments(parts[1]), FISHER, level
        )

    return Correlations(result(True), result(False), n, n_unscored, n_conditions)


def pearson(x: FloatArray, y: FloatArray, weights: FloatArray | None = None) -> float:
    """Return the (weighted) correlation of ``x [n]`` and ``y [n]``; NaN if empty or constant."""
    if not len(x) or (weights is not None and np.isnan(weights).any()):
        return math.nan
    w = np.ones(len(x)) if weights is None else weights
    a, b = (v - np.average(v, weights=w) for v in (x, y))
    spread = math.sqrt(float((w * a * a).sum()) * float((w * b * b).sum()))
    return float((w * a * b).sum()) / spread if spread > 1e-12 else math.nan


def _pearson_of_moments(moments: FloatArray) -> FloatArray:
    """Correlation ``[...]`` from ``[6, ..., conditions]``: n and sums of x, y, xx, yy, xy."""
    n, x, y, xx, yy, xy = moments
    size = np.where(n > 0.0, n, 1.0)
    var_x = (xx - x * x / size).sum(axis=-1)
    var_y = (yy - y * y / size).sum(axis=-1)
    spread = np.sqrt(np.maximum(var_x, 0.0) * np.maximum(var_y, 0.0))
    # A variable that is constant within all conditions leaves rounding errors, no correlation.
    spread = np.where(spread > 1e-12 * np.sqrt(xx.sum(axis=-1) * yy.sum(axis=-1)), spread, 0.0)
    return ratio((xy - x * y / size).sum(axis=-1), spread)
