"""Role vectors, the Assistant Axis and trait vectors from per-rollout activations.

Activations are ``[n, layers, hidden]`` (float32 as stored), with layer ``l`` the residual stream
after decoder block ``l``; means are accumulated in float64. The Assistant Axis points *toward* the
default Assistant, a trait vector *toward* the trait. AA is Lu et al., arXiv 2601.10387; PV is
Chen et al., arXiv 2507.21509.
"""

from collections.abc import Mapping
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from personae.science.projection import Activations, cosine
from personae.science.resampling import Scores
from personae.science.trait_filter import EffectivePairs

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

# ASSUME: a judge that returns an expectation over 0-3 is rounded to the nearest level.
FULLY_FROM: Final = 2.5
SOMEWHAT_FROM: Final = 1.5


def mean_activation(activations: Activations, keep: BoolArray | None = None) -> FloatArray:
    """Mean over rollouts ``[n, layers, hidden]`` (those in ``keep [n]``): ``[layers, hidden]``.

    Raises
    ------
    ValueError
        When no rollout is kept.
    """
    mask = np.ones(len(activations), dtype=bool) if keep is None else keep
    if not mask.any():
        raise ValueError(f"cannot average 0 of {len(activations)} rollouts")
    where = mask[:, np.newaxis, np.newaxis]
    return np.asarray(activations.mean(axis=0, dtype=np.float64, where=where))


class RoleVectors(NamedTuple):
    """Mean response activations of one role, kept apart by how fully it was played.

    Attributes
    ----------
    fully, somewhat
        ``[layers, hidden]`` float64, or ``None`` with fewer rollouts than required.
    n_fully, n_somewhat
        Rollouts judged 3 and judged 2.
    n_scored, n_unscored
        Rollouts with and without a judge score; unscored ones enter no vector.
    """

    fully: FloatArray | None
    somewhat: FloatArray | None
    n_fully: int
    n_somewhat: int
    n_scored: int
    n_unscored: int


def role_vectors(
    activations: Activations, scores: Scores, *, min_fully: int, min_somewhat: int
) -> RoleVectors:
    """Average a role's rollouts by judge score (AA, role vectors).

    Parameters
    ----------
    activations
        ``[n, layers, hidden]`` response means.
    scores
        ``[n]`` role adherence 0-3; NaN or ``None`` is unscored.
    min_fully, min_somewhat
        Least number of rollouts for each vector (paper: 10).

    Raises
    ------
    ValueError
        When lengths differ or a score lies outside 0-3.
    """
    score = np.asarray(scores, dtype=np.float64)
    if len(score) != len(activations):
        raise ValueError(f"{len(score)} scores for {len(activations)} activations")
    if (outside := score[(score < 0.0) | (score > 3.0)]).size:
        raise ValueError(f"role adherence {outside[0]} is outside 0-3")
    fully = score >= FULLY_FROM
    somewhat = (score >= SOMEWHAT_FROM) & ~fully

    def vector(keep: BoolArray, least: int) -> FloatArray | None:
        return mean_activation(activations, keep) if keep.sum() >= max(least, 1) else None

    n_scored = int(np.isfinite(score).sum())
    return RoleVectors(
        fully=vector(fully, min_fully),
        somewhat=vector(somewhat, min_somewhat),
        n_fully=int(fully.sum()),
        n_somewhat=int(somewhat.sum()),
        n_scored=n_scored,
        n_unscored=len(score) - n_scored,
    )


def assistant_axis(default: FloatArray, roles: Activations) -> FloatArray:
    """Assistant Axis, pointing toward the default Assistant (AA, Assistant Axis).

    Parameters
    ----------
    default
        ``[layers, hidden]`` mean activation of all default rollouts.
    roles
        ``[roles, layers, hidden]`` fully-role vectors; each role weighs the same, however many
        rollouts it kept.

    Returns
    -------
    FloatArray
        ``[layers, hidden]`` ``default - mean(roles)``, not normalised.
    """
    return np.asarray(default - roles.mean(axis=0, dtype=np.float64), dtype=np.float64)


def check_axis(
    axis: Activations, default: FloatArray, roles: Activations, tolerance: float = 1e-6
) -> FloatArray:
    """Recompute the axis from the saved vectors and require the same direction.

    Returns
    -------
    FloatArray
        ``[layers]`` cosine between the saved and the recomputed axis.

    Raises
    ------
    ValueError
        When a cosine is below ``1 - tolerance``: the axis does not belong to these roles.
    """
    agreement = cosine(axis, assistant_axis(default, roles))
    if (worst := float(agreement.min())) < 1.0 - tolerance:
        raise ValueError(
            f"axis at layer {int(agreement.argmin())} has cosine {worst:.8f} with the axis "
            f"recomputed from {len(roles)} role vectors; at least {1.0 - tolerance:.8f} is required"
        )
    return agreement


def trait_vectors(
    positive: Mapping[str, Activations],
    negative: Mapping[str, Activations],
    kept: EffectivePairs,
) -> dict[str, FloatArray]:
    """Trait vectors toward the trait, one for each readout (PV, extraction).

    Parameters
    ----------
    positive, negative
        Readout (response mean, prompt mean, last prompt token) to ``[n, layers, hidden]``.
    kept
        Result of :func:`personae.science.trait_filter.effective_pairs` for the same rollouts in the
        same order.

    Returns
    -------
    dict
        Readout to ``[layers, hidden]`` float64: mean over the kept positive minus mean over the
        kept negative rollouts.

    Raises
    ------
    ValueError
        When nothing was kept.
    """
    return {
        readout: mean_activation(positive[readout], kept.positive)
        - mean_activation(negative[readout], kept.negative)
        for readout in positive
    }
