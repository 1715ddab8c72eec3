"""Split-half reliability of a contrast vector, and random directions for comparison.

Every vector of the project is a contrast of rollouts: positive minus negative, default minus roles.
Its two sides, summed by question or by fold of questions, give its split-half reliability.
"""

from collections.abc import Mapping
from typing import Any, Final, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from personae.science.cluster_inference import all_signs
from personae.science.jackknife import FISHER, jackknife_interval
from personae.science.projection import Activations
from personae.science.resampling import ratio

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

_ENUMERATED: Final = 8
"""Up to so many folds every exchange of sides is tried, beyond it `_DRAWN_SWAPS` random ones."""
_DRAWN_SWAPS: Final = 199
_SPLITS_OF_NULL: Final = 20
RELIABILITY: Final = (
    "split_half",
    "split_half_low",
    "split_half_high",
    "split_half_p",
    "split_half_folds",
)
"""Columns of `reliability_columns`."""
_LEAST_FOLDS: Final = 3


class Reliability(NamedTuple):
    """Split-half reliability of a vector at each layer.

    Attributes
    ----------
    cosine
        ``[layers]`` mean cosine between the vectors of two halves of the questions.
    low, high
        ``[layers]`` 95 % interval over folds of questions: the jackknife of Fisher's z; NaN with
        fewer than four folds.
    p
        ``[layers]`` share of divisions with the two sides exchanged within random folds whose mean
        cosine is as large: what no contrast at all gives. Exact with up to eight folds.
    n_questions, n_splits
        Folds of questions that were split, and splits drawn.
    """

    cosine: FloatArray
    low: FloatArray
    high: FloatArray
    p: FloatArray
    n_questions: int
    n_splits: int


def reliability_columns(found: Reliability) -> dict[str, list[Any]]:
    """Return the reliability as columns, one row a layer, as vectors' tables have them."""
    folds = [found.n_questions] * len(found.cosine)
    values = (found.cosine, found.low, found.high, found.p)
    columns = [*(column.tolist() for column in values), folds]
    return dict(zip(RELIABILITY, columns, strict=True))


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
    ``[2 folds, 2 folds]``, and so is every division with sides exchanged.
    """
    if not contrast.weights.sum(axis=1).all():
        raise ValueError("weights must hold a positive and a negative side to form a contrast")
    used = contrast.weights.sum(axis=0) > 0.0
    vectors, mass = contrast.vectors[:, used], contrast.weights[:, used]
    k, n_layers = mass.shape[1], vectors.shape[2]
    halves, swaps = _halves(k, splits, seed), _swaps(k, seed)
    found = np.full((n_layers, 4), np.nan)
    for layer in range(n_layers):
        positive, negative = vectors[:, :, layer]
        sums = np.concatenate([positive, -negative])
        found[layer] = _layer(sums @ sums.T, mass, halves, swaps, seed)
    cosine, low, high, p = found.T
    return Reliability(cosine, low, high, p, k, splits)


def _halves(k: int, splits: int, seed: int) -> BoolArray:
    """Random halves of ``k`` folds, ``[splits, k]``."""
    first = np.tile(np.arange(k) < k // 2, (splits, 1))
    return np.random.default_rng(seed).permuted(first, axis=1)


def _swaps(k: int, seed: int) -> BoolArray:
    """Folds whose sides are exchanged, ``[m, k]``; the first fold never, as signs do not matter."""
    if k <= _ENUMERATED:
        return all_signs(k)[: 2 ** (k - 1)] < 0.0
    drawn = np.random.default_rng([seed, 1]).random((_DRAWN_SWAPS, k)) < 0.5
    drawn[0] = False
    return drawn


def _layer(
    gram: FloatArray, mass: FloatArray, halves: BoolArray, swaps: BoolArray, seed: int
) -> tuple[float, float, float, float]:
    """Mean cosine of one layer with its bounds and p-value, from the Gram matrix of the sums."""
    k = mass.shape[1]
    if k < 2:
        return (np.nan,) * 4
    observed = float(_mean_cosines(gram, mass, halves, swaps[:1])[0])
    left_out = []
    for fold in range(k if k > _LEAST_FOLDS else 0):
        kept = np.delete(np.arange(k), fold)
        rows = np.concatenate([kept, kept + k])
        parts = gram[np.ix_(rows, rows)], mass[:, kept], _halves(k - 1, len(halves), seed)
        left_out.append(float(_mean_cosines(*parts, swaps[:1, 1:])[0]))
    bounds = jackknife_interval(observed, left_out, FISHER)
    null = _mean_cosines(gram, mass, halves[:_SPLITS_OF_NULL], swaps)
    null = null[np.isfinite(null)]
    p = float((null >= null[0] - 1e-12).mean()) if len(null) else np.nan
    return observed, bounds.low, bounds.high, p


def _mean_cosines(
    gram: FloatArray, mass: FloatArray, halves: BoolArray, swaps: BoolArray
) -> FloatArray:
    """Mean cosine ``[m]`` over halves ``[splits, k]`` with folds ``[m, k]`` exchanged.

    ``gram [2k, 2k]`` is of the positive sums and the negated negative ones, by fold, and ``mass
    [2, k]`` their weights, which are rescaled within each half.
    """
    k = mass.shape[1]
    fold = np.arange(k)
    places = np.concatenate(
        [np.where(swaps, fold + k, fold), np.where(swaps, fold, fold + k)], axis=1
    )
    signs = np.tile(np.where(swaps, -1.0, 1.0), 2)
    inner = gram[places[:, :, np.newaxis], places[:, np.newaxis]]
    inner = inner * signs[:, :, np.newaxis] * signs[:, np.newaxis]
    masses = mass.reshape(-1)[places].reshape(-1, 2, k)
    a, b = (_coefficients(side, masses) for side in (halves, ~halves))
    left, right = a @ inner, b @ inner
    lengths = np.sqrt((left * a).sum(axis=2) * (right * b).sum(axis=2))
    cosines = ratio((left * b).sum(axis=2), lengths)
    defined = ~np.isnan(cosines)
    total = np.where(defined, cosines, 0.0).sum(axis=1)
    return ratio(total, defined.sum(axis=1).astype(np.float64))


def _coefficients(halves: BoolArray, masses: FloatArray) -> FloatArray:
    """Weights ``[m, splits, 2k]`` that rescale both sides ``[m, 2, k]`` of each half to one."""
    chosen = halves.astype(np.float64)
    totals = np.einsum("sk,mck->msc", chosen, masses)
    scaled = ratio(chosen[np.newaxis, :, np.newaxis, :], totals[..., np.newaxis])
    return scaled.reshape(len(masses), len(halves), -1)


def random_direction(like: Activations, seed: int) -> FloatArray:
    """Random direction with the length of ``like [layers, hidden]`` at every layer.

    Drawn from the isotropic normal distribution, independently at each layer: the null against
    which steering and capping along ``like`` are held.
    """
    drawn = np.random.default_rng(seed).standard_normal(like.shape)
    norms = np.linalg.norm(like.astype(np.float64), axis=-1, keepdims=True)
    return np.asarray(drawn / np.linalg.norm(drawn, axis=-1, keepdims=True) * norms)
