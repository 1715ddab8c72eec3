"""Split-half reliability of a contrast vector, and random directions for comparison.

Every vector of the project is a contrast of rollouts: positive minus negative, default minus roles,
role minus default. ``contrast_weights`` writes it as one signed weight per rollout, so that one
function gives the split-half reliability of them all.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from personae.science.projection import Activations
from personae.science.resampling import encode, percentile_bounds, ratio

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]


def contrast_weights(positive: BoolArray, groups: ArrayLike) -> FloatArray:
    """Signed rollout weights of a contrast in which groups weigh the same.

    Parameters
    ----------
    positive
        ``[n]`` True on the side that the vector points toward.
    groups
        ``[n]`` label within a side (the role); a constant when a side is one group.

    Returns
    -------
    FloatArray
        ``[n]`` summing to 1 over the positive and to -1 over the negative side.
    """
    weights = np.empty(len(positive), dtype=np.float64)
    for side, sign in ((positive, 1.0), (~positive, -1.0)):
        if side.any():
            codes = encode(np.asarray(groups)[side])
            sizes = np.bincount(codes)
            weights[side] = sign / (len(sizes) * sizes[codes])
    return weights


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
        Questions that were split, and splits drawn.
    """

    cosine: FloatArray
    low: FloatArray
    high: FloatArray
    n_questions: int
    n_splits: int


def split_half_reliability(
    activations: Activations, weights: FloatArray, questions: ArrayLike, *, splits: int, seed: int
) -> Reliability:
    """Cosine between the vectors of random halves of the questions.

    Splits are by question, not by rollout: otherwise the part of a vector that stems from
    individual questions would count as signal. Weights are rescaled within each half, as if it were
    all the data.

    Parameters
    ----------
    activations
        ``[n, layers, hidden]``.
    weights
        ``[n]`` of :func:`contrast_weights`; a rollout of weight 0 is left out.
    questions
        ``[n]`` question labels.
    splits, seed
        Number of random splits and their seed.

    Raises
    ------
    ValueError
        When a side of the contrast has no weight.

    Notes
    -----
    NaN with fewer than two questions. Rollouts are summed by question and side once; every split
    is then a quadratic form in their ``[2 questions, 2 questions]`` Gram matrix.
    """
    if not ((weights > 0.0).any() and (weights < 0.0).any()):
        raise ValueError("weights must hold a positive and a negative side to form a contrast")
    used = weights != 0.0
    signed, codes = weights[used], encode(np.asarray(questions)[used])
    k, rows = int(codes.max()) + 1, np.flatnonzero(used)
    cells = np.zeros((2 * k, len(signed)))
    cells[codes + k * (signed < 0.0), np.arange(len(signed))] = signed
    mass = np.abs(cells).sum(axis=1).reshape(2, k)
    first = np.tile(np.arange(k) < k // 2, (splits, 1))
    halves = np.random.default_rng(seed).permuted(first, axis=1)
    a, b = _coefficients(halves, mass), _coefficients(~halves, mass)
    cosines = np.empty((splits, activations.shape[1]))
    for layer in range(activations.shape[1]):
        cosines[:, layer] = _cosines(cells @ activations[rows, layer].astype(np.float64), a, b)
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
