"""Nulls of |cos(axis, PC1)|: shuffled labels, every role as the default, and chance.

Layer ``l`` is the residual stream after decoder block ``l``; see `personae.science.alignment`.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import betaincinv

from personae.science.permutations import permuted_batches
from personae.science.projection import Activations, cosine
from personae.science.resampling import encode

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

_ROLLOUTS: Final = 2048


class ScaledDirection(NamedTuple):
    """A direction ``[layers, hidden]`` in the space whose vectors are divided by ``scale``."""

    direction: Activations
    scale: FloatArray


def contrast_weights(is_default: BoolArray, subjects: ArrayLike) -> FloatArray:
    """Signed weights ``[n]`` that make the axis of rollouts: every role weighs the same.

    They sum to 1 over the default's rollouts and to -1 over those of all roles.
    """
    weights = np.empty(len(is_default), dtype=np.float64)
    for side, sign in ((is_default, 1.0), (~is_default, -1.0)):
        if side.any():
            codes = encode(np.asarray(subjects)[side])
            sizes = np.bincount(codes)
            weights[side] = sign / (len(sizes) * sizes[codes])
    return weights


def label_shuffles(
    axis_weights: FloatArray, permutations: int, seed: int, strata: ArrayLike | None = None
) -> FloatArray:
    """Shuffle the signed weights ``[n]`` that make the axis: ``[permutations, n]``.

    The weights are what is shuffled, so that every shuffled axis is made of the same rollouts, with
    as many roles of the same weights, as the axis itself.

    Parameters
    ----------
    axis_weights
        ``[n]`` of `contrast_weights`; they sum to zero.
    permutations, seed, strata
        As in :func:`personae.science.permutations.permuted_labels`; question labels as strata keep
        every question's weights.
    """
    return np.concatenate(list(permuted_batches(axis_weights, permutations, seed, strata)))


def shuffled_axis_null(
    activations: Activations, shuffles: FloatArray, directions: Sequence[ScaledDirection]
) -> list[FloatArray]:
    """|cos| of directions with axes from shuffled default/role labels: ``[permutations, L]`` each.

    Asks whether *any* division of the same rollouts would align as well: rollouts vary most along
    PC1, so that a random division aligns with it more than a random direction does.

    Parameters
    ----------
    activations
        ``[n, layers, hidden]`` rollouts of default and roles.
    shuffles
        ``[permutations, n]`` of `label_shuffles`.
    directions
        PC1 of the unshuffled role vectors in every scaling: the shuffled axes are the same for all.
    """
    null = [np.empty((shuffles.shape[0], activations.shape[1])) for _ in directions]
    for layer in range(activations.shape[1]):
        axes = _weighted_sums(shuffles, activations[:, layer])
        for found, (direction, scale) in zip(null, directions, strict=True):
            found[:, layer] = np.abs(cosine(axes / scale[layer], direction[layer]))
    return null


def _weighted_sums(weights: FloatArray, rollouts: Activations) -> FloatArray:
    """Combine ``rollouts [n, hidden]`` by ``weights [b, n]``, which sum to zero: ``[b, hidden]``.

    In float64, a few rollouts at a time: a copy of all would be the largest array of its node.
    """
    mean = rollouts.mean(axis=0, dtype=np.float64)
    sums = np.zeros((len(weights), rollouts.shape[1]))
    for start in range(0, len(rollouts), _ROLLOUTS):
        some = slice(start, start + _ROLLOUTS)
        sums += weights[:, some] @ (rollouts[some] - mean)
    return sums


def placebo_cosines(default: Activations, roles: Activations, direction: Activations) -> FloatArray:
    """|cos| of ``direction`` with an axis toward each role in turn: ``[roles, layers]``.

    The default takes the role's place among the others. Unlike shuffled rollouts this null keeps
    whole personas together: it asks whether the default is special among personas.
    """
    everyone = np.concatenate([default[np.newaxis], roles]).astype(np.float64)
    # v - mean(others) is a positive multiple of v - mean(all), so it has the same cosine.
    return np.abs(cosine((everyone - everyone.mean(axis=0))[1:], direction))


def isotropic_cosine(hidden: int, level: float) -> float:
    """Quantile of |cos| between a fixed and an isotropic random direction in ``hidden`` dimensions.

    Exact: the squared cosine is Beta(1/2, (hidden - 1) / 2) distributed.
    """
    return float(np.sqrt(betaincinv(0.5, (hidden - 1) / 2.0, level)))
