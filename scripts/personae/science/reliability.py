"""Split-half reliability of a contrast vector, and random directions for comparison.

Every vector of the project is a contrast of rollouts: positive minus negative, default minus roles.
Its two sides, summed by question or by fold of questions, give its split-half reliability.
"""

from collections.abc import Mapping
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from personae.science.projection import Activations
from personae.science.resampling import percentile_bounds, ratio

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]


class Reliability(NamedTuple):
    """Split-half reliability of a vector at each layer.

    Attributes
    ----------
    cosine
        ``[layers]`` mean cosine between the vectors of two halves of the questions.
    low, high
        ``[layers]`` 2.5 and 97.5 % of that cosine over random splits: the spread of splits, not a
        confidence interval.
    n_questions, n_splits
        Folds of questions that were split, and splits drawn.
    """

    cosine: FloatArray
    low: FloatArray
    high: FloatArray
    n_questions: int
    n_splits: int


class SummedContrast(NamedTuple):
    """A contrast whose rollouts are summed by side and by fold of the questions.

    Every rollout has a weight; those of the positive side sum to 1, those of the negative to 1 too.

    Attributes
    ----------
    vectors
        ``[2, folds, layers, hidden]`` weighted sums, the positive side first.
    weights
        ``[2, folds]`` summed weights.
    """

    vectors: FloatArray
    weights: FloatArray

    @classmethod
    def of(
        cls, vectors: Mapping[tuple[int, int], FloatArray], weights: Mapping[tuple[int, int], float]
    ) -> Self:
        """Arrange sums ``[layers, hidden]`` and weights by (side, fold); absent ones are zero."""
        if not vectors:
            raise ValueError("a contrast of no rollouts")
        n_folds = 1 + max(fold for _, fold in vectors)
        summed = np.zeros((2, n_folds, *next(iter(vectors.values())).shape))
        mass = np.zeros((2, n_folds))
        for key, part in vectors.items():
            summed[key], mass[key] = part, weights[key]
        return cls(summed, mass)


def split_half_reliability(contrast: SummedContrast, *, splits: int, seed: int) -> Reliability:
    """Cosine between the vectors of random halves of the questions.

    Splits are by question, not by rollout: otherwise the part of a vector that stems from
    individual questions would count as signal. Weights are rescaled within each half, as if it were
    all the data.

    Parameters
    ----------
    contrast
        Sums by fold; a fold without any weight is left out.
    splits, seed
        Number of random splits and their seed.

    Raises
    ------
    ValueError
        When a side of the contrast has no weight.

    Notes
    -----
    NaN with fewer than two folds. Every split is a quadratic form in the Gram matrix of the sums,
    ``[2 folds, 2 folds]``.
    """
    if not contrast.weights.sum(axis=1).all():
        raise ValueError("weights must hold a positive and a negative side to form a contrast")
    used = contrast.weights.sum(axis=0) > 0.0
    vectors, mass = contrast.vectors[:, used], contrast.weights[:, used]
    k, n_layers = mass.shape[1], vectors.shape[2]
    first = np.tile(np.arange(k) < k // 2, (splits, 1))
    halves = np.random.default_rng(seed).permuted(first, axis=1)
    a, b = _coefficients(halves, mass), _coefficients(~halves, mass)
    cosines = np.empty((splits, n_layers))
    for layer in range(n_layers):
        positive, negative = vectors[:, :, layer]
        cosines[:, layer] = _cosines(np.concatenate([positive, -negative]), a, b)
    defined = ~np.isnan(cosines)
    total = np.where(defined, cosines, 0.0).sum(axis=0)
    low, high = percentile_bounds(cosines, level=0.95)
    return Reliability(ratio(total, defined.sum(axis=0).astype(np.float64)), low, high, k, splits)


def _coefficients(halves: BoolArray, mass: FloatArray) -> FloatArray:
    """Weights ``[splits, 2 * questions]`` that rescale both sides of each half to one."""
    chosen = halves.astype(np.float64)
    scaled = ratio(chosen[:, np.newaxis, :], (chosen @ mass.T)[:, :, np.newaxis])
    return scaled.reshape(len(halves), -1)


def _cosines(sums: FloatArray, a: FloatArray, b: FloatArray) -> FloatArray:
    """Cosines ``[splits]`` of combinations ``a`` and ``b`` of the rows of ``sums``."""
    gram = sums @ sums.T
    left, right = a @ gram, b @ gram
    lengths = np.sqrt((left * a).sum(axis=1) * (right * b).sum(axis=1))
    return ratio((left * b).sum(axis=1), lengths)


def random_direction(like: Activations, seed: int) -> FloatArray:
    """Random direction with the length of ``like [layers, hidden]`` at every layer.

    Drawn from the isotropic normal distribution, independently at each layer: the null against
    which steering and capping along ``like`` are held.
    """
    drawn = np.random.default_rng(seed).standard_normal(like.shape)
    norms = np.linalg.norm(like.astype(np.float64), axis=-1, keepdims=True)
    return np.asarray(drawn / np.linalg.norm(drawn, axis=-1, keepdims=True) * norms)
