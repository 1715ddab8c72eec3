"""Projections on directions, and their course over the turns of a conversation.

Arrays are ``[n, layers, hidden]`` with layer ``l`` the residual stream after decoder block ``l``
(0-based). Directions are ``[layers, hidden]``; the Assistant Axis points toward the default
Assistant and a trait vector toward its trait. A projection is ``<h, u>`` with ``u`` the *unit*
direction of the same layer, in units of the residual stream.

# ASSUME: a rollout's projection is that of its response-mean activation, as the Assistant Axis
# paper calibrates. Single tokens scatter more widely around the same mean, so that a percentile of
# response means is a milder percentile of tokens.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from personae.science.resampling import Bootstrap, Interval, bootstrap_mean

FloatArray = NDArray[np.float64]
Activations = NDArray[np.floating[Any]]


def unit(vectors: Activations) -> FloatArray:
    """Scale vectors ``[..., hidden]`` to length one, in float64.

    Raises
    ------
    ValueError
        For a vector that is zero or not finite: it has no direction.
    """
    data = np.asarray(vectors, dtype=np.float64)
    norms = np.linalg.norm(data, axis=-1, keepdims=True)
    if not np.isfinite(norms).all() or (norms == 0.0).any():
        bad = np.argwhere(~(np.isfinite(norms[..., 0]) & (norms[..., 0] > 0.0)))[0].tolist()
        raise ValueError(f"vector {bad} of shape {data.shape} is zero or not finite: no direction")
    return np.asarray(data / norms, dtype=np.float64)


def cosine(a: Activations, b: Activations) -> FloatArray:
    """Cosine of ``a [..., hidden]`` and ``b [..., hidden]``, broadcast over leading axes."""
    return np.asarray(np.einsum("...h,...h->...", unit(a), unit(b)), dtype=np.float64)


def project(activations: Activations, direction: Activations) -> FloatArray:
    """Project activations on a direction, layer by layer.

    Parameters
    ----------
    activations
        ``[n, layers, hidden]``, any float dtype.
    direction
        ``[layers, hidden]``, of any length: only its direction matters.

    Returns
    -------
    FloatArray
        ``[n, layers]`` of ``<h, u>``, accumulated in float64; positive is toward ``direction``.

    Raises
    ------
    ValueError
        When layers or hidden sizes differ.
    """
    if activations.ndim != 3 or activations.shape[1:] != direction.shape:
        raise ValueError(
            f"activations {activations.shape} do not match direction {direction.shape}: "
            "expected [n, layers, hidden] and [layers, hidden]"
        )
    # Plain einsum casts in small buffers: no float64 copy of all activations.
    projected = np.einsum("nlh,lh->nl", activations, unit(direction), dtype=np.float64)
    return np.asarray(projected, dtype=np.float64)


class TurnPoint(NamedTuple):
    """Mean projection at one turn position, interval over conversations."""

    turn: int
    n: int
    projection: Interval


class TurnProfile(NamedTuple):
    """Kept turn positions in order, and the positions dropped for too few samples."""

    points: list[TurnPoint]
    dropped: list[int]


def turn_profile(
    projections: ArrayLike,
    turns: ArrayLike,
    conversations: ArrayLike,
    plan: Bootstrap,
    *,
    min_samples: int,
) -> TurnProfile:
    """Average projections by turn position (AA, persona drift).

    Parameters
    ----------
    projections, turns, conversations
        ``[n]`` projection of an assistant turn, its position, and its conversation's label.
    plan
        Bootstrap over conversations.
    min_samples
        Turn positions with fewer samples are dropped (paper: 10).
    """
    values, position = np.asarray(projections, dtype=np.float64), np.asarray(turns)
    labels = np.asarray(conversations)
    points: list[TurnPoint] = []
    dropped: list[int] = []
    for turn in np.unique(position).tolist():
        here = position == turn
        if (n := int(here.sum())) < min_samples:
            dropped.append(turn)
            continue
        points.append(TurnPoint(turn, n, bootstrap_mean(values[here], labels[here], plan)))
    return TurnProfile(points, dropped)
