"""Prediction-powered inference: a judge's mean over everything, corrected by labels of a sample."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from personae.science.resampling import Interval, encode

FloatArray = NDArray[np.float64]


def corrected_mean(
    judged: ArrayLike,
    labelled: ArrayLike,
    labels: ArrayLike,
    weights: ArrayLike,
    clusters: ArrayLike,
    level: float = 0.95,
) -> Interval:
    """Mean of what people would have said of all responses (Angelopoulos et al. 2023, PPI++).

    ``lambda mean(judged) + weighted mean of (labels - lambda judge)`` on the labelled sample;
    lambda is the share of the judge that lowers the variance, 0 for a judge that says nothing.

    Parameters
    ----------
    judged
        ``[N]`` the judge's scores of all responses.
    labelled, labels
        ``[n]`` the judge's scores and people's labels of the sample.
    weights
        ``[n]`` inverse probability with which a response was drawn.
    clusters
        ``[n]`` question of every labelled response; errors within one are not independent.
    level
        Coverage; Student's t over the clusters of the sample. The mean over all responses is taken
        as known up to their own number.

    Raises
    ------
    ValueError
        With fewer than two clusters.
    """
    everything, f, y, w = (
        np.asarray(values, dtype=np.float64) for values in (judged, labelled, labels, weights)
    )
    codes = encode(clusters)
    k = int(codes.max()) + 1 if len(codes) else 0
    if k < 2:
        raise ValueError(f"{k} question in the labelled sample; at least 2 are needed")
    w = w / w.sum()
    centred = f - (w * f).sum()
    variance = float((w * centred**2).sum())
    covariance = float((w * centred * (y - (w * y).sum())).sum())
    share = len(f) / len(everything)
    power = min(max(covariance / variance / (1.0 + share), 0.0), 1.0) if variance > 0 else 0.0
    rest = y - power * f
    correction = float((w * rest).sum())
    estimate = power * float(everything.mean()) + correction
    residuals = np.bincount(codes, w * (rest - correction), minlength=k)
    error = k / (k - 1) * float((residuals**2).sum())
    error += power**2 * float(everything.var(ddof=1)) / len(everything)
    # Imported here: scipy.stats takes an aggregate node more time than its own work.
    from scipy.special import stdtrit

    reach = float(stdtrit(k - 1, (1.0 + level) / 2.0)) * float(np.sqrt(error))
    return Interval(estimate, estimate - reach, estimate + reach)
