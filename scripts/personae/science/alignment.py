"""The Assistant Axis against the first principal component of persona space.

Both directions come from the same role vectors, so an alignment must be held against what the
same rollouts give by chance. All vectors involved lie in the span of the default and the rows of
the PCA: resamples are computed from their ``[rows + 1, rows + 1]`` Gram matrix, item 0 being the
default. A row is one role vector, of the kind "fully" or "somewhat"; the PCA is over both kinds,
the axis over the fully-role vectors alone (AA, persona space). Layer ``l`` is the residual stream
after decoder block ``l``.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from personae.science.geometry import PCA
from personae.science.jackknife import FISHER, jackknife_interval, without_each
from personae.science.leading_eigenvector import LANCZOS_STEPS, leading_pairs
from personae.science.projection import Activations
from personae.science.resampling import ratio

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

_CHUNK_FLOATS = 20_000_000  # 160 MB of float64 at a time, whatever the number of roles


def axis_component_cosines(space: PCA, axis: Activations) -> FloatArray:
    """Absolute cosine of ``axis [layers, hidden]`` with every component: ``[layers, k]``.

    Column 0 is the published |cos(axis, PC1)| (above 0.60 at all layers and above 0.71 at the
    middle one). In a z-scored space the axis is divided by the same scale.
    """
    scaled = axis / space.scale
    along = np.einsum("lkh,lh->lk", space.components, scaled)
    return np.asarray(np.abs(along) / np.linalg.norm(scaled, axis=-1, keepdims=True))


class LayerIntervals(NamedTuple):
    """Estimate with bounds at each layer, all ``[layers]``; NaN bounds: none can be given."""

    estimate: FloatArray
    low: FloatArray
    high: FloatArray


def pc1_cosines(gram: FloatArray, weights: FloatArray, in_axis: BoolArray) -> FloatArray:
    """|cos(axis, PC1)| ``[b]`` of rows weighted by ``weights [b, rows]`` (each draw sums to 1).

    ``gram`` is ``[b, rows + 1, rows + 1]``, or ``[1, ...]`` shared by all draws; the axis is over
    the rows of ``in_axis [rows]``. PC1 is a combination of centred rows, so that all that is needed
    of it are their inner products with each other and with the axis.
    """
    of_axis = ratio(weights * in_axis, (weights * in_axis).sum(axis=1, keepdims=True))
    across = _combine(gram[:, :, 1:], weights)  # <item, mean row>
    along = _combine(gram[:, :, 1:], of_axis)  # <item, mean row of the axis>
    of_mean, roots = (across[:, 1:] * weights).sum(axis=1, keepdims=True), np.sqrt(weights)
    to_mean = across[:, 1:] - of_mean  # <row - mean, mean>

    def kernel(vectors: FloatArray) -> FloatArray:
        """Apply ``sqrt(w_i w_j) <row_i - mean, row_j - mean>`` to ``vectors [b, rows]``."""
        scaled = roots * vectors
        centred = _combine(gram[:, 1:, 1:], scaled) - to_mean * scaled.sum(axis=1, keepdims=True)
        inner = (across[:, 1:] * scaled).sum(axis=1, keepdims=True)
        return np.asarray(roots * (centred - inner))

    mean_along = (along[:, 1:] * weights).sum(axis=1, keepdims=True)
    # <row - mean, axis>
    with_axis = roots * (gram[:, 1:, 0] - along[:, 1:] - across[:, :1] + mean_along)
    squared = gram[:, 0, 0] - 2.0 * along[:, 0] + (along[:, 1:] * of_axis).sum(axis=1)
    defined = np.isfinite(with_axis).all(axis=1, keepdims=True)  # not without a row of the axis
    values, vectors = leading_pairs(kernel, np.where(defined, with_axis, 1.0))
    lengths = np.sqrt(np.maximum(values * squared, 0.0))
    return np.abs(ratio((vectors * with_axis).sum(axis=1), lengths))


def _combine(gram: FloatArray, weights: FloatArray) -> FloatArray:
    """Combine the columns of ``gram [b or 1, n, m]`` by ``weights [b, m]``: ``[b, n]``."""
    if len(gram) == 1:
        return np.asarray(weights @ gram[0].T)
    return np.asarray((gram @ weights[:, :, np.newaxis])[:, :, 0])


def draw_batches(weights: FloatArray, floats_per_draw: int) -> list[slice]:
    """Split draws so that a batch's temporaries stay within the memory budget."""
    size = max(1, _CHUNK_FLOATS // floats_per_draw)
    return [slice(start, start + size) for start in range(0, len(weights), size)]


def jackknife_bounds(cosines: FloatArray) -> LayerIntervals:
    """Return the jackknife of ``cosines [1 + k, layers]``: all data, then without each cluster."""
    found = [jackknife_interval(float(c[0]), c[1:], FISHER) for c in cosines.T]
    estimate, low, high = np.asarray(found, dtype=np.float64).T
    return LayerIntervals(estimate, low, high)


def jackknife_roles(
    default: Activations,
    rows: Activations,
    *,
    names: Sequence[str] | None = None,
    in_axis: BoolArray | None = None,
) -> LayerIntervals:
    """|cos(axis, PC1)| with intervals over roles.

    A bootstrap over roles draws some twice, and PC1 then leans toward them: its intervals lie off
    the estimate. Here each role is left out once, and axis and PC1 are both recomputed.

    Parameters
    ----------
    default, rows
        ``[layers, hidden]`` and ``[rows, layers, hidden]``, divided by the PCA's scale for the
        z-scored space.
    names
        ``[rows]`` role of each row, so that both vectors of a role are left out together; by
        default every row is a separate role.
    in_axis
        ``[rows]`` True for fully-role vectors, of which the axis is made; by default all are.
    """
    n = len(rows)
    member = np.ones(n, dtype=bool) if in_axis is None else in_axis
    left = without_each(np.arange(n) if names is None else np.asarray(names))
    weights = np.concatenate([np.ones((1, n)), left.counts[:, left.codes]])
    sizes = weights.sum(axis=1, keepdims=True)
    defined = (sizes[:, 0] > 1.0) & ((weights * member).sum(axis=1) > 0.0)
    weights = weights / np.maximum(sizes, 1.0)
    batches = draw_batches(weights, 3 * LANCZOS_STEPS * (n + 1))
    cosines = np.full((len(weights), rows.shape[1]), np.nan)
    for layer in range(rows.shape[1]):
        gram = _gram(default[layer], rows[:, layer])
        for some in batches:
            cosines[some, layer] = pc1_cosines(gram, weights[some], member)
    return jackknife_bounds(np.where(defined[:, np.newaxis], cosines, np.nan))


def _gram(default: Activations, rows: Activations) -> FloatArray:
    """Gram matrix ``[1, rows + 1, rows + 1]`` of one layer, in float64."""
    items = np.concatenate([default[np.newaxis], rows]).astype(np.float64)
    items -= items[1:].mean(axis=0)  # neither direction moves, and rounding errors stay small
    return np.asarray((items @ items.T)[np.newaxis])
