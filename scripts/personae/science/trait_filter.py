"""The filter that selects rollouts of a trait vector by the judged effect of prompt pairs.

PV is Chen et al., arXiv 2507.21509; AA is Lu et al., arXiv 2601.10387.
"""

from typing import Final, Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from personae.science.resampling import Scores, encode, ratio

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]
Pairing = Literal["rows", "cell_means"]

TOP_SCORE: Final = 100.0


class Ratings(NamedTuple):
    """Judged rollouts of one polarity, all ``[n]``.

    Attributes
    ----------
    pair, question, sample
        Prompt pair, question, and number of the sample within both.
    trait, coherence
        Scores 0-100; NaN or ``None`` is unscored. Coherence is ``None`` where nobody judged it.
    """

    pair: ArrayLike
    question: ArrayLike
    sample: ArrayLike
    trait: Scores
    coherence: Scores | None

    def scored(self) -> BoolArray:
        """Rollouts that have a trait score and, where it was judged, a coherence score."""
        total = np.asarray(self.trait, np.float64)
        if self.coherence is not None:
            total = total + np.asarray(self.coherence, np.float64)
        return np.asarray(np.isfinite(total))


class EffectivePairs(NamedTuple):
    """Criteria for the rollouts of a trait vector.

    A unit is what the filter decides on as a whole: a pair of rollouts (``rows``), or a
    (pair, question) cell (``cell_means``).

    Attributes
    ----------
    positive, negative
        ``[n_positive]`` and ``[n_negative]`` bool masks over the rollouts of each polarity.
    contrast
        ``[n_units]`` positive minus negative trait score of each unit; NaN for a unit that lacks a
        scored rollout on a side.
    n_units, n_kept, n_unscored
        Units in all, kept, and without a scored rollout on a side.
    """

    positive: BoolArray
    negative: BoolArray
    contrast: FloatArray
    n_units: int
    n_kept: int
    n_unscored: int


def effective_pairs(
    positive: Ratings,
    negative: Ratings,
    *,
    pairing: Pairing,
    min_trait: float | None,
    min_coherence: float | None,
    min_difference: float | None = None,
) -> EffectivePairs:
    """Keep the rollouts whose prompts had their effect (PV, filtering).

    A unit is kept when its positive side scores at least ``min_trait``, its negative side less than
    ``100 - min_trait``, and both are at least ``min_coherence`` coherent.

    Parameters
    ----------
    positive, negative
        Rollouts of both polarities; their orders may differ.
    pairing
        ``"rows"``, the reference code: sample i of the positive prompt is paired with sample i of
        the negative prompt on the same question, and each pair is judged by itself.
        ``"cell_means"``, ours: the mean over all scored samples of a (pair, question) decides, and
        all scored samples of a kept cell are used.
    min_trait
        ``None`` asks for neither trait score.
    min_coherence
        Of both sides, 0-100; ``None`` does not ask for it.
    min_difference
        Least positive minus negative score (AA, trait space); ``None`` does not ask for it.
    """
    sides, n = (positive, negative), len(np.asarray(positive.pair))
    keys = ("pair", "question", "sample") if pairing == "rows" else ("pair", "question")
    codes = np.zeros(n + len(np.asarray(negative.pair)), dtype=np.int64)
    for key in keys:
        part = encode(np.concatenate([np.asarray(getattr(side, key)) for side in sides]))
        codes = encode(codes * (part.max() + 1) + part)
    units = (codes[:n], codes[n:])
    n_units, scored = int(codes.max()) + 1, [side.scored() for side in sides]

    def means(i: int, values: Scores) -> FloatArray:
        where, data = units[i][scored[i]], np.asarray(values, dtype=np.float64)[scored[i]]
        sums = np.bincount(where, data, minlength=n_units)
        return ratio(sums, np.bincount(where, np.ones(len(where)), minlength=n_units))

    high, low = (means(i, side.trait) for i, side in enumerate(sides))
    keep = np.isfinite(high - low)  # unscored units are never kept
    if min_coherence is not None:
        for i, side in enumerate(sides):
            if side.coherence is None:
                raise ValueError(f"coherence was not judged, but min_coherence is {min_coherence}")
            keep &= means(i, side.coherence) >= min_coherence
    if min_trait is not None:
        keep &= (high >= min_trait) & (low < TOP_SCORE - min_trait)
    if min_difference is not None:
        keep &= high - low >= min_difference
    masks = [keep[unit] & ok for unit, ok in zip(units, scored, strict=True)]
    contrast = high - low
    n_kept, n_unscored = int(keep.sum()), int(np.isnan(contrast).sum())
    return EffectivePairs(masks[0], masks[1], contrast, n_units, n_kept, n_unscored)
