"""Persona space: PCA of role vectors, its dimension, cosine matrices and comparison of spaces.

Vectors are ``[n, layers, hidden]``; every function works on all layers at once through ``[n, n]``
Gram matrices, never ``[hidden, hidden]`` covariances, so that 275 roles of 8,192 dimensions cost
no more than 275 x 275 eigenproblems.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from personae.science.jackknife import FISHER, jackknife_interval
from personae.science.permutations import permutation_p
from personae.science.projection import Activations, unit
from personae.science.resampling import (
    Interval,
    midranks,
    ratio,
)

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


class PCA(NamedTuple):
    """Principal components of role vectors at each layer.

    Attributes
    ----------
    mean, scale
        ``[layers, hidden]`` subtracted mean, and divisor (1 unless z-scored).
    components
        ``[layers, k, hidden]`` unit rows in the scaled space; zero beyond the data's rank.
    variance, explained
        ``[layers, n - 1]`` sample variance along every component, and its share of the total.
    coordinates
        ``[n, layers, k]`` of the vectors that the components were fitted to.
    """

    mean: FloatArray
    scale: FloatArray
    components: FloatArray
    variance: FloatArray
    explained: FloatArray
    coordinates: FloatArray

    def transform(self, vectors: Activations) -> FloatArray:
        """Coordinates ``[n, layers, k]`` of other vectors, such as the default Assistant's."""
        scaled = (vectors - self.mean) / self.scale
        return np.asarray(np.einsum("nlh,lkh->nlk", scaled, self.components, optimize=True))


def pca(
    vectors: Activations,
    *,
    standardise: bool,
    toward: Activations,
    n_components: int | None = None,
) -> PCA:
    """Fit principal components at every layer (AA, persona space).

    Parameters
    ----------
    vectors
        ``[n, layers, hidden]`` role vectors.
    standardise
        ``False``: subtract the mean only, which is what the paper calls standardised. ``True``:
        also divide each dimension by its standard deviation over roles, so that a few
        massive-activation dimensions cannot make up the first components.
    toward
        ``[layers, hidden]`` direction (the axis) that every component is signed toward: the sign
        of a component is arbitrary, and this makes it comparable between layers.
    n_components
        Components to keep; all ``n - 1`` when ``None``.

    Raises
    ------
    ValueError
        With fewer than two vectors.
    """
    n = len(vectors)
    if n < 2:
        raise ValueError(f"PCA needs at least 2 role vectors, got {n}")
    data = np.array(vectors.transpose(1, 0, 2), dtype=np.float64, order="C")  # never a view
    mean = data.mean(axis=1)
    data -= mean[:, np.newaxis]
    scale = np.ones_like(mean)
    if standardise:
        deviation = data.std(axis=1, ddof=1)
        scale = np.where(deviation > 0.0, deviation, 1.0)
        data /= scale[:, np.newaxis]
    values, basis = np.linalg.eigh(data @ data.mT)
    # eigh sorts upwards; the smallest of n eigenvalues is the zero that centring causes.
    values, basis = np.maximum(values[:, :0:-1], 0.0), basis[:, :, :0:-1][..., :n_components]
    values[values < 1e-12 * values[:, :1]] = 0.0
    roots = np.sqrt(values[:, np.newaxis, :n_components])
    components = np.nan_to_num(ratio(basis.mT @ data, roots.mT))
    along = np.einsum("lkh,lh->lk", components, toward / scale)
    sign = np.where(along < 0.0, -1.0, 1.0)
    coordinates = (basis * roots * sign[:, np.newaxis]).transpose(1, 0, 2)
    explained = ratio(values, values.sum(axis=1, keepdims=True))
    signed = components * sign[..., np.newaxis]
    return PCA(mean, scale, signed, values / (n - 1), explained, coordinates)


def components_for_variance(explained: FloatArray, threshold: float) -> IntArray:
    """Least number of components whose shares ``[layers, m]`` reach ``threshold``: ``[layers]``.

    Published for 0.7: 4 (Gemma 2 27B), 8 (Qwen 3 32B), 19 (Llama 3.3 70B).
    """
    # The slack keeps a threshold that is met exactly from failing on a rounding error.
    short = np.cumsum(explained, axis=-1) < threshold - 1e-9
    return np.asarray(np.minimum(short.sum(axis=-1) + 1, explained.shape[-1]), dtype=np.int64)


def participation_ratio(variance: FloatArray) -> FloatArray:
    """Effective dimension ``(sum v)^2 / sum v^2`` of variances ``[layers, m]``: ``[layers]``."""
    return ratio(variance.sum(axis=-1) ** 2, (variance**2).sum(axis=-1))


class OutlierDimension(NamedTuple):
    """A dimension that alone carries much of the variance between roles at a layer."""

    layer: int
    dimension: int
    mean: float
    variance_share: float
    times_median: float


def outlier_dimensions(vectors: Activations, *, times_median: float) -> list[OutlierDimension]:
    """List dimensions whose variance over ``vectors [n, layers, hidden]`` is out of proportion.

    # ASSUME: the paper gives no definition; here a dimension is an outlier when its variance
    # exceeds ``times_median`` times the median dimension's at the same layer.
    """
    variance = vectors.var(axis=0, dtype=np.float64)
    mean = vectors.mean(axis=0, dtype=np.float64)
    times = ratio(variance, np.median(variance, axis=-1, keepdims=True))
    share = ratio(variance, variance.sum(axis=-1, keepdims=True))
    return [
        OutlierDimension(
            int(layer),
            int(dimension),
            float(mean[layer, dimension]),
            float(share[layer, dimension]),
            float(times[layer, dimension]),
        )
        for layer, dimension in np.argwhere(times > times_median)
    ]


def cosine_matrix(a: Activations, b: Activations) -> FloatArray:
    """Cosines between two families of vectors.

    Parameters
    ----------
    a, b
        ``[n, layers, hidden]`` and ``[m, layers, hidden]``. Pass role vectors minus their mean
        (or minus the default): raw means share one large component and all have cosine near 1.

    Returns
    -------
    FloatArray
        ``[layers, n, m]``.
    """
    left, right = unit(a).transpose(1, 0, 2), unit(b).transpose(1, 2, 0)
    return np.asarray(left @ right, dtype=np.float64)


class RSA(NamedTuple):
    """Representational similarity of two models or layers over the same roles.

    Attributes
    ----------
    interval
        Spearman correlation of the two matrices' upper triangles, with the jackknife over roles:
        entries of a matrix share roles, so that whole roles are left out.
    p
        One-sided permutation p-value (roles of one matrix relabelled).
    null_high
        95 % quantile of the permuted correlations.
    n
        Number of roles.
    """

    interval: Interval
    p: float
    null_high: float
    n: int


def rsa(a: FloatArray, b: FloatArray, *, permutations: int, seed: int) -> RSA:
    """Compare two cosine matrices ``[n, n]`` over the same roles in the same order.

    The null relabels roles: rows and columns move together, because the entries of a similarity
    matrix are not independent of each other.

    Raises
    ------
    ValueError
        When shapes differ or there are fewer than four roles.
    """
    n = len(a)
    if a.shape != b.shape or a.shape != (n, n) or n < 4:
        raise ValueError(f"RSA needs two [n, n] matrices with n >= 4, got {a.shape} and {b.shape}")
    upper = np.triu_indices(n, k=1)
    x, ranked = _z(midranks(a[upper])), np.zeros((n, n))
    ranked[upper] = _z(midranks(b[upper]))
    ranked += ranked.T
    rng = np.random.default_rng(seed)
    rho, null = float(x @ ranked[upper]), np.empty(permutations)
    for i in range(permutations):
        order = rng.permutation(n)
        null[i] = x @ ranked[order[upper[0]], order[upper[1]]]
    bounds = jackknife_interval(rho, [_rho_without(a, b, i) for i in range(n)], FISHER)
    return RSA(bounds, float(permutation_p(rho, null)), float(np.quantile(null, 0.95)), n)


def _rho_without(a: FloatArray, b: FloatArray, role: int) -> float:
    kept = np.delete(np.arange(len(a)), role)
    upper = np.triu_indices(len(kept), k=1)
    x, y = (_z(midranks(m[np.ix_(kept, kept)][upper])) for m in (a, b))
    return float(x @ y)


def _z(ranks: FloatArray) -> FloatArray:
    """Centre ranks and scale them to length one, so that a dot product is a correlation."""
    return unit(ranks - ranks.mean())
