"""The Assistant Axis against the first principal component of persona space.

Both directions come from the same role vectors, so an alignment must be held against what the
same rollouts give by chance. All vectors involved lie in the span of the default and the role
vectors: resamples are computed from their ``[roles + 1, roles + 1]`` Gram matrix, item 0 being the
default. Layer ``l`` is the residual stream after decoder block ``l``.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import betaincinv

from personae.science.geometry import PCA
from personae.science.projection import Activations, cosine
from personae.science.resampling import (
    Bootstrap,
    draw_clusters,
    percentile_bounds,
    permuted_labels,
    ratio,
)

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


def _pc1_cosines(gram: FloatArray, weights: FloatArray) -> FloatArray:
    """|cos(axis, PC1)| ``[b]`` of roles weighted by ``weights [b, roles]`` (rows sum to 1).

    ``gram`` is ``[b or 1, roles + 1, roles + 1]``. PC1 is a combination of centred roles, so that
    all that is needed of it are their inner products with each other and with the axis.
    """
    across = np.einsum("bij,bj->bi", gram[:, :, 1:], weights)  # <item, mean role>
    of_mean = np.einsum("bi,bi->b", across[:, 1:], weights)[:, np.newaxis]
    roots, to_mean = np.sqrt(weights), across[:, 1:] - of_mean
    kernel = gram[:, 1:, 1:] - to_mean[:, :, np.newaxis] - across[:, np.newaxis, 1:]
    kernel *= roots[:, :, np.newaxis] * roots[:, np.newaxis, :]
    values, basis = np.linalg.eigh(kernel)
    with_axis = roots * (gram[:, 1:, 0] - to_mean - across[:, :1])  # <role - mean, axis>
    axis_square = gram[:, 0, 0] - 2.0 * across[:, 0] + of_mean[:, 0]
    lengths = np.sqrt(np.maximum(values[:, -1] * axis_square, 0.0))
    return np.abs(ratio(np.einsum("br,br->b", basis[:, :, -1], with_axis), lengths))


def _batches(weights: FloatArray, floats_per_draw: int) -> list[slice]:
    """Split draws so that a batch's temporaries stay within the memory budget."""
    size = max(1, _CHUNK_FLOATS // floats_per_draw)
    return [slice(start, start + size) for start in range(0, len(weights), size)]


def _undefined(estimate: FloatArray) -> LayerIntervals:
    return LayerIntervals(estimate, np.full_like(estimate, np.nan), np.full_like(estimate, np.nan))


def bootstrap_roles(default: Activations, roles: Activations, plan: Bootstrap) -> LayerIntervals:
    """|cos(axis, PC1)| with intervals over roles.

    Parameters
    ----------
    default, roles
        ``[layers, hidden]`` and ``[roles, layers, hidden]``, divided by the PCA's scale for the
        z-scored space.
    plan
        Roles are drawn with replacement; axis and PC1 are both recomputed.
    """
    items = np.concatenate([default[np.newaxis], roles]).astype(np.float64)
    items -= items[1:].mean(axis=0)  # neither direction moves, and rounding errors stay small
    layers = np.ascontiguousarray(items.transpose(1, 0, 2))
    grams = layers @ layers.mT
    n, uniform = len(roles), np.full((1, len(roles)), 1.0 / len(roles))
    estimate = np.concatenate([_pc1_cosines(gram[np.newaxis], uniform) for gram in grams])
    weights = draw_clusters(np.arange(n), plan).counts / n
    if np.isnan(weights).any():
        return _undefined(estimate)
    batches = _batches(weights, 3 * (n + 1) ** 2)
    draws = [[_pc1_cosines(gram[np.newaxis], weights[rows]) for rows in batches] for gram in grams]
    low, high = percentile_bounds(np.stack([np.concatenate(d) for d in draws], 1), plan.level)
    return LayerIntervals(estimate, low, high)


class QuestionCells(NamedTuple):
    """Rollouts of one subject summed by question: ``[questions, layers, hidden]`` and counts."""

    sums: FloatArray
    counts: FloatArray


def question_cells(
    activations: Activations, questions: ArrayLike, all_questions: ArrayLike
) -> QuestionCells:
    """Sum a subject's rollouts ``[n, layers, hidden]`` by question.

    Parameters
    ----------
    activations, questions
        Rollouts that enter the subject's vector, and their question labels ``[n]``.
    all_questions
        ``[questions]`` distinct labels shared by all subjects, in the order of the result.

    Raises
    ------
    ValueError
        For a question that is not among ``all_questions``.
    """
    member = np.asarray(questions)[np.newaxis] == np.asarray(all_questions)[:, np.newaxis]
    if not member.any(axis=0).all():
        unknown = np.asarray(questions)[~member.any(axis=0)].tolist()[0]
        raise ValueError(f"question {unknown!r} is not among the {len(member)} questions given")
    flat = activations.reshape(len(activations), -1).astype(np.float64)
    sums = (member.astype(np.float64) @ flat).reshape(len(member), *activations.shape[1:])
    return QuestionCells(sums, member.sum(axis=1).astype(np.float64))


def bootstrap_questions(
    default: QuestionCells, roles: list[QuestionCells], plan: Bootstrap
) -> LayerIntervals:
    """|cos(axis, PC1)| with intervals over questions.

    Questions are drawn jointly for all subjects; role vectors, axis and PC1 are recomputed in each
    draw. A role without a rollout on the drawn questions has weight 0 in that draw.
    """
    subjects = [default, *roles]
    counts = np.stack([cells.counts for cells in subjects], axis=1)  # [questions, subjects]
    sums = np.stack([cells.sums for cells in subjects], axis=1)  # [questions, subjects, L, H]
    # Neither direction depends on the origin; near the data, rounding errors stay small.
    sums = sums - counts[..., np.newaxis, np.newaxis] * (sums.sum((0, 1)) / counts.sum())
    multiples = draw_clusters(np.arange(len(counts)), plan).counts
    defined = not np.isnan(multiples).any()
    drawn = np.concatenate([np.ones((1, len(counts))), multiples if defined else multiples[:0]])
    batches = _batches(drawn, sums.shape[1] * (sums.shape[3] + 3 * sums.shape[1]))
    cosines = np.empty((len(drawn), sums.shape[2]))
    for layer in range(sums.shape[2]):
        cells = _in_span(sums[:, :, layer])
        for rows in batches:
            resampled = np.tensordot(drawn[rows], cells, axes=1)
            cosines[rows, layer] = _cosines_of_sums(resampled, drawn[rows] @ counts)
    if not defined:
        return _undefined(cosines[0])
    return LayerIntervals(cosines[0], *percentile_bounds(cosines[1:], plan.level))


def _in_span(cells: FloatArray) -> FloatArray:
    """Coordinates of ``cells [questions, subjects, hidden]`` in an orthonormal basis of their span.

    All inner products stay, in fewer dimensions; where the span is everything nothing is gained.
    """
    flat = cells.reshape(-1, cells.shape[-1])
    if len(flat) >= flat.shape[1]:
        return cells
    _, triangle = np.linalg.qr(flat.T)
    return np.asarray(triangle.T.reshape(*cells.shape[:2], -1))


def _cosines_of_sums(sums: FloatArray, sizes: FloatArray) -> FloatArray:
    """|cos(axis, PC1)| ``[b]`` of ``sums [b, subjects, hidden]`` over ``sizes [b, subjects]``."""
    gram = sums @ sums.mT
    inverse = 1.0 / np.maximum(sizes, 1.0)  # an absent subject's sum is zero already
    gram *= inverse[:, :, np.newaxis] * inverse[:, np.newaxis, :]
    present = (sizes[:, 1:] > 0.0).astype(np.float64)
    n_present = present.sum(axis=1, keepdims=True)
    cosines = _pc1_cosines(gram, present / np.maximum(n_present, 1.0))
    return np.where((sizes[:, 0] > 0.0) & (n_present[:, 0] > 1.0), cosines, np.nan)


def shuffled_axis_null(
    activations: Activations,
    is_default: BoolArray,
    direction: Activations,
    *,
    permutations: int,
    seed: int,
    strata: ArrayLike | None = None,
) -> FloatArray:
    """|cos| of ``direction`` with axes from shuffled default/role labels: ``[permutations, L]``.

    Asks whether *any* division of the same rollouts would align as well: rollouts vary most along
    PC1, so that a random division aligns with it more than a random direction does.

    Parameters
    ----------
    activations, is_default
        ``[n, layers, hidden]`` rollouts of default and roles, and their labels ``[n]``.
    direction
        ``[layers, hidden]`` PC1 of the unshuffled role vectors. For the z-scored space divide the
        activations by its scale.
    permutations, seed, strata
        As in :func:`personae.science.resampling.permuted_labels`; question labels as strata keep
        every question's share of default rollouts.
    """
    labels = permuted_labels(is_default, permutations, seed, strata)
    weights = labels / labels.sum(axis=1, keepdims=True)
    weights -= ~labels / (~labels).sum(axis=1, keepdims=True)
    layers = range(activations.shape[1])
    axes = (weights @ activations[:, layer].astype(np.float64) for layer in layers)
    return np.abs(np.stack([cosine(a, d) for a, d in zip(axes, direction, strict=True)], axis=1))


def placebo_cosines(default: Activations, roles: Activations, direction: Activations) -> FloatArray:
    """|cos| of ``direction`` with an axis toward each role in turn: ``[roles, layers]``.

    The default takes the role's place among the others. Unlike shuffled rollouts this null keeps
    whole personas together: it asks whether the default is special among personas.
    """
    everyone = np.concatenate([default[np.newaxis], roles]).astype(np.float64)
    # v - mean(others) is a positive multiple of v - mean(all), hence has the same cosine.
    return np.abs(cosine((everyone - everyone.mean(axis=0))[1:], direction))


def isotropic_cosine(hidden: int, level: float) -> float:
    """Quantile of |cos| between a fixed and an isotropic random direction in ``hidden`` dimensions.

    Exact: the squared cosine is Beta(1/2, (hidden - 1) / 2) distributed.
    """
    return float(np.sqrt(betaincinv(0.5, (hidden - 1) / 2.0, level)))
