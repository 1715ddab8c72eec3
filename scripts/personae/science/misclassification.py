"""Judged means corrected for the judge's own errors, as measured on labelled responses.

A judge that calls everything a little higher, or pulls everything to the middle, moves every mean.
On labelled responses its expected score is a line in the label, ``score = a + b label``; a mean of
scores therefore corresponds to the mean label ``(mean - a) / b``. The line is the generalisation of
sensitivity and specificity (Rogan and Gladen 1978) to scores, and like these it does not depend on
how many labelled responses are high.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from personae.science.resampling import Bootstrap, Interval, draw_clusters, percentile_bounds

FloatArray = NDArray[np.float64]

_LEAST_SLOPE: Final = 0.2
"""With a flatter line the judge hardly sees the label, and a mean cannot be corrected."""

_UNDEFINED: Final = Interval(np.nan, np.nan, np.nan)


def corrected_change(change: Interval, slope: Interval) -> Interval:
    """Change in the label that a change of judged means corresponds to: ``change / slope``.

    The half-widths of both intervals are combined as independent errors of a quotient. NaN where
    the slope's interval does not lie above 0: such a judge may see nothing of the label.
    """
    if not slope.low > 0.0:
        return Interval(np.nan, np.nan, np.nan)
    b, estimate = slope.estimate, change.estimate / slope.estimate
    of_slope = abs(estimate) * (b - slope.low)
    below, above = (
        float(np.hypot(reach, of_slope)) / b
        for reach in (change.estimate - change.low, change.high - change.estimate)
    )
    return Interval(estimate, estimate - below, estimate + above)


class ScoreLine(NamedTuple):
    """The expected score as a line in the label, in the data and in every draw of questions.

    Attributes
    ----------
    intercept, slope
        Of the labelled responses.
    intercepts, slopes
        ``[draws]`` the same when their questions are resampled.
    """

    intercept: float
    slope: float
    intercepts: FloatArray
    slopes: FloatArray


def score_line(
    scores: ArrayLike, labels: ArrayLike, questions: ArrayLike, plan: Bootstrap
) -> ScoreLine | None:
    """Fit the line of ``scores [n]`` on ``labels [n]``; ``None`` where labels do not vary."""
    y, x = np.asarray(scores, dtype=np.float64), np.asarray(labels, dtype=np.float64)
    kept = ~(np.isnan(x) | np.isnan(y))
    x, y = x[kept], y[kept]
    if len(x) < 3 or x.std() == 0.0:
        return None
    draws = draw_clusters(np.asarray(questions)[kept], plan)
    moments = np.stack([draws.total(v) for v in (np.ones_like(x), x, y, x * x, x * y)])
    observed = _line(moments.sum(axis=1)[:, np.newaxis])
    resampled = _line(moments @ draws.counts.T)
    return ScoreLine(float(observed[0][0]), float(observed[1][0]), *resampled)


def _line(moments: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Least squares from sums of 1, x, y, x^2 and xy ``[5, draws]``."""
    n, x, y, xx, xy = moments
    with np.errstate(divide="ignore", invalid="ignore"):
        slope = (n * xy - x * y) / (n * xx - x**2)
        return (y - slope * x) / n, slope


def corrected_for_judge(
    scores: ArrayLike, line: ScoreLine | None, scale: tuple[float, float], seed: int
) -> Interval:
    """Mean label that a mean of ``scores [n]`` corresponds to, with the judge's uncertainty.

    The interval is over draws of the labelled questions and of the scores; NaN where the line is
    too flat, in the data or in more than 2.5 % of the draws.
    """
    values = np.asarray(scores, dtype=np.float64)
    if line is None or len(values) < 2 or not line.slope > _LEAST_SLOPE:
        return _UNDEFINED
    steep = line.slopes > _LEAST_SLOPE
    if steep.mean() < 0.975:
        return _UNDEFINED
    rng = np.random.default_rng(seed)
    error = values.std(ddof=1) / np.sqrt(len(values))
    means = values.mean() + error * rng.standard_normal(len(line.slopes))
    draws = ((means - line.intercepts) / line.slopes)[steep]
    low, high = percentile_bounds(np.clip(draws, *scale), 0.95)
    estimate = float(np.clip((values.mean() - line.intercept) / line.slope, *scale))
    return Interval(estimate, float(low), float(high))
