"""Cluster bootstrap, vectorised over draws.

Rollouts of one question (or of one role, or one conversation) are not independent, so every
interval of the project resamples whole clusters and never single rollouts. A draw is a vector of
cluster multiplicities; statistics that are functions of per-cluster sums are then one matrix
product over all draws.
"""

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]
Scores = Sequence[float | None] | FloatArray  # None and NaN alike are unscored

DRAWS: Final = 1000
"""Bootstrap draws behind an interval where the study does not set their number."""


class Bootstrap(NamedTuple):
    """Settings of bootstrap intervals: number of resamples, seed, and coverage."""

    draws: int
    seed: int
    level: float = 0.95


class Interval(NamedTuple):
    """A point estimate with a percentile interval; NaN bounds mean that none can be given."""

    estimate: float
    low: float
    high: float


class ClusterDraws(NamedTuple):
    """Bootstrap multiplicities of clusters.

    Attributes
    ----------
    codes
        ``[n]`` int64, the cluster of each observation, ``0 .. k - 1``.
    counts
        ``[draws, k]`` float64, how often each cluster occurs in each resample; NaN throughout
        when there is a single cluster.
    """

    codes: IntArray
    counts: FloatArray

    def total(self, values: ArrayLike, rows: slice = slice(None)) -> FloatArray:
        """Sum ``values [m]`` of the observations in ``rows`` within clusters: ``[k]``."""
        weights = np.asarray(values, dtype=np.float64)
        totals = np.bincount(self.codes[rows], weights, minlength=self.counts.shape[1])
        return np.asarray(totals, dtype=np.float64)


def encode(labels: ArrayLike) -> IntArray:
    """Code labels ``[n]`` (strings or integers) as their rank among the distinct ones.

    Refuses labels of another shape (``ValueError``): pairs must be joined to one string first.
    """
    values = np.asarray(labels)
    if values.ndim != 1:
        raise ValueError(f"labels must have shape [n], got {values.shape}")
    _, codes = np.unique(values, return_inverse=True)
    return codes.astype(np.int64)


def draw_clusters(labels: ArrayLike, plan: Bootstrap) -> ClusterDraws:
    """Draw as many clusters as there are, with replacement, ``plan.draws`` times.

    Parameters
    ----------
    labels
        ``[n]`` cluster label of each observation.
    plan
        Number of draws and seed; the same plan and labels give the same draws.

    Raises
    ------
    ValueError
        When there is no observation.
    """
    codes = encode(labels)
    if codes.size == 0:
        raise ValueError("cannot resample clusters of 0 observations; at least 1 is needed")
    k = int(codes.max()) + 1
    if k == 1:
        # One cluster gives no information on the spread between clusters: an interval of width zero
        # would be a false claim, so every draw is undefined instead.
        return ClusterDraws(codes, np.full((plan.draws, 1), np.nan))
    rng = np.random.default_rng(plan.seed)
    counts = rng.multinomial(k, np.full(k, 1.0 / k), size=plan.draws)
    return ClusterDraws(codes, counts.astype(np.float64))


def percentile_bounds(draws: ArrayLike, level: float) -> tuple[FloatArray, FloatArray]:
    """Lower and upper percentile bound over the first axis of ``draws [b, ...]``.

    Undefined draws (NaN: for example a resample without a positive) are left out; where every
    draw is undefined both bounds are NaN.
    """
    values = np.asarray(draws, dtype=np.float64)
    undefined = np.isnan(values).all(axis=0)
    tail = (1.0 - level) / 2.0
    bounds = np.nanquantile(np.where(undefined, 0.0, values), [tail, 1.0 - tail], axis=0)
    low, high = np.where(undefined, np.nan, bounds)
    return low, high


def interval(estimate: float, draws: ArrayLike, level: float) -> Interval:
    """Percentile interval of scalar ``draws [b]`` around a point estimate."""
    low, high = percentile_bounds(draws, level)
    return Interval(float(estimate), float(low), float(high))


def ratio(numerator: ArrayLike, denominator: ArrayLike) -> FloatArray:
    """Divide elementwise; a zero denominator gives NaN rather than a warning and infinity."""
    above, below = np.broadcast_arrays(numerator, denominator)
    out = np.full(above.shape, np.nan)
    np.divide(above, below, out=out, where=below != 0.0)
    return out


def midranks(values: ArrayLike) -> FloatArray:
    """Rank values ``[n]`` from 1, ties sharing their mean rank.

    Written out because importing ``scipy.stats`` for it costs every aggregate node more time than
    the node's own work.
    """
    _, codes, sizes = np.unique(np.asarray(values), return_inverse=True, return_counts=True)
    return np.asarray((np.cumsum(sizes) - (sizes - 1) / 2.0)[codes], dtype=np.float64)


def bootstrap_mean(values: Scores, clusters: ArrayLike, plan: Bootstrap) -> Interval:
    """Mean of ``values [n]`` with a cluster-bootstrap interval.

    NaN values are unscored items: they count neither in the mean nor in its draws.
    """
    data = np.asarray(values, dtype=np.float64)
    scored = ~np.isnan(data)
    if not scored.any():
        return Interval(np.nan, np.nan, np.nan)
    draws = draw_clusters(np.asarray(clusters)[scored], plan)
    sums, sizes = draws.total(data[scored]), draws.total(np.ones(int(scored.sum())))
    means = ratio(draws.counts @ sums, draws.counts @ sizes)
    return interval(float(data[scored].mean()), means, plan.level)


class ClusteredOutcomes(NamedTuple):
    """Outcomes of one arm of a comparison.

    Attributes
    ----------
    values
        ``[n]`` outcomes; NaN (or ``None``) is unscored.
    clusters
        ``[n]`` cluster labels (question, conversation) that are shared with the other arm.
    """

    values: Scores
    clusters: ArrayLike

    def scored(self) -> tuple[FloatArray, NDArray[Any]]:
        """Return the scored values and their cluster labels."""
        data = np.asarray(self.values, dtype=np.float64)
        keep = ~np.isnan(data)
        return data[keep], np.asarray(self.clusters)[keep]


def bootstrap_contrast(
    treated: ClusteredOutcomes,
    control: ClusteredOutcomes,
    plan: Bootstrap,
    *,
    relative: bool = False,
) -> Interval:
    """Difference of two means, with clusters resampled jointly in both arms.

    Joint resampling keeps the pairing by question: a hard question drawn twice counts twice in
    both arms, so that its difficulty cancels in the difference.

    Parameters
    ----------
    treated, control
        Arms that share cluster labels.
    plan
        Bootstrap settings.
    relative
        Return ``(treated - control) / control`` instead of ``treated - control``; NaN where the
        control mean is zero.
    """
    (t_values, t_labels), (c_values, c_labels) = treated.scored(), control.scored()
    n = len(t_values)
    if n == 0 or len(c_values) == 0:
        return Interval(np.nan, np.nan, np.nan)
    draws = draw_clusters(np.concatenate([t_labels, c_labels]), plan)
    parts = ((t_values, slice(None, n)), (c_values, slice(n, None)))
    observed, resampled = [], []
    for values, rows in parts:
        sums, sizes = draws.total(values, rows), draws.total(np.ones(len(values)), rows)
        observed.append(np.asarray(values.mean()))
        resampled.append(ratio(draws.counts @ sums, draws.counts @ sizes))

    def contrast(pair: list[FloatArray]) -> FloatArray:
        difference = pair[0] - pair[1]
        return ratio(difference, pair[1]) if relative else difference

    return interval(float(contrast(observed)), contrast(resampled), plan.level)
