"""Intervals over few clusters by the delete-one jackknife, also of bounded statistics.

A percentile bootstrap of a bounded statistic over 4 to 12 clusters is too narrow. Here the
statistic is computed once without each cluster, the logit (AUC) or Fisher's z (correlation) of
those values gives a standard error, and the interval is Student's on that scale, turned back:
it stays within the bounds of the statistic and is not symmetric near them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from personae.science.cluster_inference import student_interval
from personae.science.resampling import MIN_CLUSTERS, ClusterDraws, Interval, encode

FloatArray = NDArray[np.float64]

_LARGEST: Final = 1.0 - 1e-12


class Scale(NamedTuple):
    """An increasing map of a bounded statistic to the real line, and its inverse."""

    forward: Callable[[FloatArray], FloatArray]
    back: Callable[[FloatArray], FloatArray]


def _logit(share: FloatArray) -> FloatArray:
    return np.asarray(np.log(share / (1.0 - share)))


def _expit(value: FloatArray) -> FloatArray:
    return np.asarray(1.0 / (1.0 + np.exp(-value)))


def _fisher(r: FloatArray) -> FloatArray:
    return np.asarray(np.arctanh(np.clip(r, -_LARGEST, _LARGEST)))


IDENTITY: Final = Scale(np.asarray, np.asarray)
EXPLAINED: Final = Scale(
    lambda share: np.asarray(-np.log(np.maximum(1.0 - share, 1e-12))),
    lambda value: np.asarray(1.0 - np.exp(-value)),
)
"""For a share of variance explained, which is at most 1 and may be negative."""
LOG: Final = Scale(
    lambda value: np.asarray(np.log(np.maximum(value, 1e-12))),
    lambda value: np.asarray(np.exp(value)),
)
"""For a positive ratio."""
LOGIT: Final = Scale(_logit, _expit)
FISHER: Final = Scale(_fisher, lambda value: np.asarray(np.tanh(value)))


def without_each(labels: ArrayLike) -> ClusterDraws:
    """Weights of `draw_clusters`, but with every cluster of ``labels [n]`` left out in turn."""
    codes = encode(labels)
    k = int(codes.max()) + 1
    return ClusterDraws(codes, 1.0 - np.eye(k))


def jackknife_error(left_out: ArrayLike) -> tuple[float, int]:
    """Standard error from the statistic without each cluster ``[k]``, and the clusters used.

    Values that are undefined without a cluster (NaN) are left out of both.
    """
    values = np.asarray(left_out, dtype=np.float64)
    values = values[np.isfinite(values)]
    k = len(values)
    if k < MIN_CLUSTERS:
        return float("nan"), k
    return float(np.sqrt((k - 1) / k * ((values - values.mean()) ** 2).sum())), k


def jackknife_interval(
    estimate: float, left_out: ArrayLike, scale: Scale, level: float = 0.95
) -> Interval:
    """Interval of ``estimate`` from the statistic without each cluster ``left_out [k]``.

    NaN bounds below three clusters.
    """
    values = np.asarray(left_out, dtype=np.float64)
    error, k = jackknife_error(scale.forward(values))
    if np.isnan(estimate) or np.isnan(error):
        return Interval(estimate, np.nan, np.nan)
    return _interval_on(scale, estimate, error, k - 1, level)


def _interval_on(
    scale: Scale, estimate: float, error: float, degrees: int, level: float
) -> Interval:
    """Student's interval of an estimate with an error on a scale, turned back."""
    middle = float(scale.forward(np.asarray(estimate)))
    found = student_interval(middle, error, degrees, level)
    low, high = (float(scale.back(np.asarray(bound))) for bound in found[1:])
    return Interval(estimate, low, high)


def scaled_interval(found: Interval, unit_left_out: ArrayLike, level: float = 0.95) -> Interval:
    """Interval of an estimate in a unit that was estimated as well, from other observations.

    Parameters
    ----------
    found
        The interval, with the unit taken as known.
    unit_left_out
        The unit without each of its clusters ``[k]``, in the unit itself. Its relative error adds
        to each side by root of squares. Below three clusters the interval stays as it is.
    """
    error, k = jackknife_error(LOG.forward(np.asarray(unit_left_out, dtype=np.float64)))
    if np.isnan(error):
        return found
    reach = student_interval(0.0, error, k - 1, level).high * found.estimate
    low, high = (
        found.estimate + side * float(np.hypot(bound - found.estimate, reach))
        for side, bound in ((-1.0, found.low), (1.0, found.high))
    )
    return Interval(found.estimate, low, high)


def delete_many_interval(
    estimate: float,
    left_out: ArrayLike,
    clusters: int,
    deleted: int,
    scale: Scale,
    level: float = 0.95,
) -> Interval:
    """As `jackknife_interval`, from the statistic without ``deleted`` random clusters ``[draws]``.

    For a statistic with kinks, such as a count of components: there the delete-one jackknife is not
    consistent, and the jackknife that deletes a fixed share of the ``clusters`` is.
    """
    values = scale.forward(np.asarray(left_out, dtype=np.float64))
    if clusters < MIN_CLUSTERS or not np.isfinite([estimate, *values]).all():
        return Interval(estimate, np.nan, np.nan)
    error = float(np.sqrt((clusters - deleted) / deleted * values.var()))
    return _interval_on(scale, estimate, error, clusters - 1, level)


def mean_correlation(values: ArrayLike, level: float = 0.95) -> Interval:
    """Mean of the correlations ``values [k]`` of clusters, with the jackknife on Fisher's scale.

    The scale is used up to half a cluster from -1 and 1. NaN bounds below three clusters.
    """
    data = np.asarray(values, dtype=np.float64)
    k, most = len(data), 1.0 - 0.5 / len(data)
    left_out = np.clip((data.sum() - data) / max(k - 1, 1), -most, most)
    mean = float(data.mean())
    found = jackknife_interval(float(np.clip(mean, -most, most)), left_out, FISHER, level)
    return Interval(mean, min(found.low, mean), max(found.high, mean))


def crossed_jackknife_interval(
    estimate: float,
    without_rows: ArrayLike,
    without_columns: ArrayLike,
    without_cells: ArrayLike,
    level: float = 0.95,
) -> Interval:
    """As `jackknife_interval` for two crossed kinds of clusters, such as roles and questions.

    On the statistic's own scale. The variance is that of rows plus that of columns minus that of
    cells, and at least that of either kind alone; the degrees of freedom are Satterthwaite's for
    the sum of rows and columns.
    """
    (rows, n), (columns, m), (cells, _) = (
        jackknife_error(values) for values in (without_rows, without_columns, without_cells)
    )
    if np.isnan(estimate) or np.isnan([rows, columns, cells]).any():
        return Interval(estimate, np.nan, np.nan)
    variance = max(rows**2 + columns**2 - cells**2, rows**2, columns**2)
    spread = rows**4 / (n - 1) + columns**4 / (m - 1)
    freedom = (rows**2 + columns**2) ** 2 / spread if spread else min(n, m) - 1
    return student_interval(estimate, float(np.sqrt(variance)), freedom, level)
