"""Inference on a mean when there are few clusters: studentised intervals, exact sign flips.

Rollouts of one question, role or conversation are not independent. The mean of every cluster is one
observation, so that a cluster with many rollouts weighs no more than one with few; a percentile
bootstrap over three to eight of them is far too narrow, a studentised interval is not.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from personae.science.resampling import Interval, encode

FloatArray = NDArray[np.float64]

_ENUMERATED: Final = 14
"""Up to so many clusters all sign flips are enumerated (16,384 of them)."""

_DRAWN_FLIPS: Final = 9999


class Inference(NamedTuple):
    """A mean over clusters.

    Attributes
    ----------
    interval
        Mean of the cluster means with its interval; NaN bounds for a single cluster.
    p_greater, p_less
        One-sided p-values of the sign-flip test against a mean of ``bound``.
    clusters
        Number of clusters; of crossed clusters the smaller number of the two.
    n
        Number of observations.
    """

    interval: Interval
    p_greater: float
    p_less: float
    clusters: int
    n: int

    def widened(self, factor: float) -> Inference:
        """Return the same with a standard error that is larger by a factor."""
        middle, low, high = self.interval
        bounds = Interval(
            middle, middle - factor * (middle - low), middle + factor * (high - middle)
        )
        return self._replace(interval=bounds)


def mean_of_clusters(
    values: ArrayLike,
    clusters: ArrayLike,
    *,
    bound: float = 0.0,
    level: float = 0.95,
    seed: int = 0,
) -> Inference:
    """Mean of cluster means of ``values [n]`` (NaN: unscored, left out).

    Parameters
    ----------
    values
        Outcomes, or differences of paired outcomes.
    clusters
        ``[n]`` cluster labels.
    bound
        Mean under the null of the sign-flip test, which holds when the cluster means are symmetric
        about it. The test is exact with up to 14 clusters.
    level
        Coverage of the interval: Student's t on the cluster means.
    seed
        Of the sign flips where there are too many to enumerate.
    """
    data, labels = np.asarray(values, dtype=np.float64), np.asarray(clusters)
    kept = ~np.isnan(data)
    if not kept.any():
        return Inference(Interval(np.nan, np.nan, np.nan), np.nan, np.nan, 0, 0)
    codes = encode(labels[kept])
    means = np.bincount(codes, data[kept]) / np.bincount(codes)
    k, error = len(means), _standard_error(means)
    p_greater, p_less = sign_flip_p(means - bound, seed)
    bounds = student_interval(float(means.mean()), error, k - 1, level)
    return Inference(bounds, p_greater, p_less, k, int(kept.sum()))


def mean_of_crossed_clusters(
    values: ArrayLike,
    rows: ArrayLike,
    columns: ArrayLike,
    *,
    bound: float = 0.0,
    level: float = 0.95,
    seed: int = 0,
) -> Inference:
    """Mean over cells of two crossed kinds of clusters, such as roles and questions.

    The variance is that of two-way clustered errors (rows plus columns minus cells), and never less
    than that of either kind alone; the interval is Student's with the fewer clusters' degrees of
    freedom. The p-value is the larger one of sign flips of whole rows and of whole columns.

    Parameters
    ----------
    values, bound, level, seed
        As in `mean_of_clusters`; several values of a cell are averaged.
    rows, columns
        ``[n]`` labels of the two kinds of clusters.
    """
    data = np.asarray(values, dtype=np.float64)
    kept = ~np.isnan(data)
    if not kept.any():
        return Inference(Interval(np.nan, np.nan, np.nan), np.nan, np.nan, 0, 0)
    first, second = encode(np.asarray(rows)[kept]), encode(np.asarray(columns)[kept])
    cell = encode(first * (int(second.max()) + 1) + second)
    _, where = np.unique(cell, return_index=True)
    means = np.bincount(cell, data[kept]) / np.bincount(cell)
    of_row, of_column = first[where], second[where]
    estimate, k = float(means.mean()), min(len(set(of_row)), len(set(of_column)))
    variances = [_clustered_variance(means, codes) for codes in (of_row, of_column)]
    of_cells = _clustered_variance(means, np.arange(len(means)))
    variance = max(sum(variances) - of_cells, *variances)
    tests = [sign_flip_p(np.bincount(codes, means - bound), seed) for codes in (of_row, of_column)]
    interval = student_interval(estimate, float(np.sqrt(variance)), k - 1, level)
    greater, less = (max(p[side] for p in tests) for side in (0, 1))
    return Inference(interval, greater, less, k, int(kept.sum()))


def sign_flip_p(values: ArrayLike, seed: int = 0) -> tuple[float, float]:
    """One-sided p-values (greater, less) of the sum of ``values [k]`` under random signs.

    Exact by enumeration up to 14 values, else from 9,999 random flips with the +1 correction.
    """
    data = np.asarray(values, dtype=np.float64)
    if len(data) <= _ENUMERATED:
        signs, extra = all_signs(len(data)), 0
    else:
        signs, extra = _drawn_signs(len(data), seed), 1
    sums, observed = signs @ data, float(data.sum())
    slack = 1e-12 * float(np.abs(data).sum())
    n = len(sums) + extra
    greater = float((sums >= observed - slack).sum() + extra) / n
    less = float((sums <= observed + slack).sum() + extra) / n
    return greater, less


@functools.cache
def all_signs(k: int) -> FloatArray:
    """All vectors of ``k`` signs, ``[2 ** k, k]``; read-only, as callers share them."""
    signs = np.array(list(itertools.product((1.0, -1.0), repeat=k)))
    signs.flags.writeable = False
    return signs


@functools.lru_cache(maxsize=32)
def _drawn_signs(k: int, seed: int) -> FloatArray:
    signs = np.random.default_rng(seed).choice((1.0, -1.0), (_DRAWN_FLIPS, k))
    signs.flags.writeable = False
    return signs


def _standard_error(means: FloatArray) -> float:
    k = len(means)
    return float(means.std(ddof=1) / np.sqrt(k)) if k > 1 else float("nan")


def _clustered_variance(values: FloatArray, codes: NDArray[np.int64]) -> float:
    """Variance of the mean of ``values [n]`` with errors that are shared within clusters."""
    k = int(codes.max()) + 1
    if k < 2:
        return 0.0
    sums = np.bincount(codes, values - values.mean())
    return float(k / (k - 1) * (sums**2).sum() / len(values) ** 2)


def student_interval(estimate: float, error: float, degrees: float, level: float) -> Interval:
    """Interval of an estimate with a standard error of so many degrees of freedom."""
    # Imported here: scipy.stats takes an aggregate node more time than its own work.
    from scipy.special import stdtrit

    if degrees < 1:
        return Interval(estimate, np.nan, np.nan)
    reach = float(stdtrit(degrees, (1.0 + level) / 2.0)) * error
    return Interval(estimate, estimate - reach, estimate + reach)


def welch(first: ArrayLike, second: ArrayLike, *, level: float = 0.95, seed: int = 0) -> Inference:
    """Mean of ``first [n]`` minus that of ``second [m]``, two independent groups of units.

    The interval is Welch's; the p-values are those of the permutation test that shuffles units
    between the groups, exact where there are at most 10,000 ways to divide them. ``clusters`` is
    the size of the smaller group.
    """
    a, b = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    n, m = len(a), len(b)
    difference = float(a.mean() - b.mean())
    sums, extra = _divisions(np.concatenate([a, b]), n, seed)
    shuffled = sums / n - (a.sum() + b.sum() - sums) / m
    slack = 1e-12 * max(1.0, float(np.abs(shuffled).max()))
    greater = float(((shuffled >= difference - slack).sum() + extra) / (len(shuffled) + extra))
    less = float(((shuffled <= difference + slack).sum() + extra) / (len(shuffled) + extra))
    if min(n, m) < 2:
        return Inference(Interval(difference, np.nan, np.nan), greater, less, min(n, m), n + m)
    parts = a.var(ddof=1) / n, b.var(ddof=1) / m
    total = sum(parts)
    degrees = total**2 / (parts[0] ** 2 / (n - 1) + parts[1] ** 2 / (m - 1)) if total else n + m - 2
    bounds = student_interval(difference, float(np.sqrt(total)), degrees, level)
    return Inference(bounds, greater, less, min(n, m), n + m)


def _divisions(values: FloatArray, n: int, seed: int) -> tuple[FloatArray, int]:
    """Sum of the first group under every (or 9,999 random) divisions; and 1 if they are drawn."""
    if math.comb(len(values), n) <= 10_000:
        chosen = np.array(list(itertools.combinations(range(len(values)), n)))
        return values[chosen].sum(axis=1), 0
    rng = np.random.default_rng(seed)
    keys = rng.random((_DRAWN_FLIPS, len(values)))
    return values[np.argpartition(keys, n - 1, axis=1)[:, :n]].sum(axis=1), 1


def paired_proportions(before: ArrayLike, after: ArrayLike, level: float = 0.95) -> Interval:
    """Share of ``after [n]`` minus share of ``before [n]``, 0 or 1 for the same items.

    Tango's score interval. It has a width even where no item changed, because another one might
    have, and keeps its level where items change in one direction only, as under a harmful cap.
    """
    from scipy.special import ndtri

    x, y = np.asarray(before, dtype=np.float64), np.asarray(after, dtype=np.float64)
    won, lost, n = float(((1 - x) * y).sum()), float((x * (1 - y)).sum()), len(x)
    reach, difference = float(ndtri((1.0 + level) / 2.0)), (won - lost) / n

    def outside(value: float) -> bool:
        return abs(_tango_score(won, lost, n, value)) > reach

    low, high = (_crossing(outside, difference, end) for end in (-1.0, 1.0))
    return Interval(difference, low, high)


def _tango_score(won: float, lost: float, n: int, difference: float) -> float:
    """Score statistic of a difference of paired shares: standard normal if it is the true one."""
    a, b = 2.0 * n, (2.0 * n - won + lost) * difference - won - lost
    c = -lost * difference * (1.0 - difference)
    share = (math.sqrt(max(b * b - 4.0 * a * c, 0.0)) - b) / (2.0 * a)
    variance = n * (2.0 * share + difference * (1.0 - difference))
    excess = won - lost - n * difference
    if variance <= 0.0:
        return 0.0 if excess == 0.0 else math.copysign(math.inf, excess)
    return excess / math.sqrt(variance)


def _crossing(outside: Callable[[float], bool], inner: float, outer: float) -> float:
    """Where ``outside`` turns true between ``inner`` and ``outer``; the latter if it never does."""
    if not outside(outer):
        return outer
    for _ in range(50):
        middle = (inner + outer) / 2.0
        inner, outer = (inner, middle) if outside(middle) else (middle, outer)
    return inner
