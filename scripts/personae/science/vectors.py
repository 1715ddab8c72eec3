"""Role vectors, the Assistant Axis and trait vectors from per-rollout activations.

Activations are ``[n, layers, hidden]`` (float32 as stored), with layer ``l`` the residual stream
after decoder block ``l``; means are accumulated in float64. The Assistant Axis points *toward* the
default Assistant, a trait vector *toward* the trait. AA is Lu et al., arXiv 2601.10387; PV is
Chen et al., arXiv 2507.21509.
"""

from collections.abc import Mapping
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from personae.science.projection import Activations, cosine
from personae.science.resampling import Scores, encode, ratio

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


class Ratings(NamedTuple):
    """Judged rollouts of one polarity, all ``[n]``: prompt pair, question, and two 0-100 scores."""

    pair: ArrayLike
    question: ArrayLike
    trait: Scores
    coherence: Scores

    def scored(self) -> BoolArray:
        """Rollouts that have both a trait and a coherence score."""
        total = np.asarray(self.trait, np.float64) + np.asarray(self.coherence, np.float64)
        return np.asarray(np.isfinite(total))


class EffectivePairs(NamedTuple):
    """Which rollouts enter a trait vector.

    Attributes
    ----------
    positive, negative
        ``[n_positive]`` and ``[n_negative]`` bool masks over the rollouts of each polarity.
    contrast
        ``[n_cells]`` mean positive minus mean negative trait score of each (pair, question) cell;
        NaN for a cell that lacks a scored rollout on a side. AA keeps a trait with at least 10
        cells at 50 or more.
    n_cells, n_kept, n_unscored
        (pair, question) cells in all, kept, and without a scored rollout on a side.
    """

    positive: BoolArray
    negative: BoolArray
    contrast: FloatArray
    n_cells: int
    n_kept: int
    n_unscored: int


def effective_pairs(
    positive: Ratings,
    negative: Ratings,
    *,
    min_trait: float | None,
    min_coherence: float,
    min_difference: float | None = None,
) -> EffectivePairs:
    """Keep the (pair, question) cells whose prompts had their effect (PV, filtering).

    A cell is kept when its positive side scores at least ``min_trait``, its negative side less,
    and both at least ``min_coherence``; ``min_trait=None`` filters by coherence alone. With
    ``min_difference`` the two sides' scores must differ by at least that much (AA, trait space).

    # ASSUME: with several samples per cell the cell's mean over scored samples decides, and all
    # scored samples of a kept cell are used. The reference code pairs the i-th positive with the
    # i-th negative sample, which are no more related than any other two of the cell.
    """
    sides, n = (positive, negative), len(np.asarray(positive.pair))
    pairs = encode(np.concatenate([np.asarray(side.pair) for side in sides]))
    questions = encode(np.concatenate([np.asarray(side.question) for side in sides]))
    codes = encode(pairs * (questions.max() + 1) + questions)
    cells = (codes[:n], codes[n:])
    n_cells, scored = int(codes.max()) + 1, [side.scored() for side in sides]

    def cell_means(i: int, values: Scores) -> FloatArray:
        where, data = cells[i][scored[i]], np.asarray(values, dtype=np.float64)[scored[i]]
        sums = np.bincount(where, data, minlength=n_cells)
        return ratio(sums, np.bincount(where, np.ones(len(where)), minlength=n_cells))

    high, low = (cell_means(i, side.trait) for i, side in enumerate(sides))
    coherence = np.minimum(*(cell_means(i, side.coherence) for i, side in enumerate(sides)))
    keep = coherence >= min_coherence  # NaN compares false: unscored cells are never kept
    if min_trait is not None:
        keep &= (high >= min_trait) & (low < min_trait)
    if min_difference is not None:
        keep &= high - low >= min_difference
    masks = [keep[cell] & ok for cell, ok in zip(cells, scored, strict=True)]
    contrast = high - low
    n_kept, n_unscored = int(keep.sum()), int(np.isnan(contrast).sum())
    return EffectivePairs(masks[0], masks[1], contrast, n_cells, n_kept, n_unscored)


def trait_vectors(
    positive: Mapping[str, Activations],
    negative: Mapping[str, Activations],
    kept: EffectivePairs,
    *,
    min_cells: int = 1,
) -> dict[str, FloatArray] | None:
    """Trait vectors toward the trait, one for each readout (PV, extraction).

    Parameters
    ----------
    positive, negative
        Readout (response mean, prompt mean, last prompt token) to ``[n, layers, hidden]``.
    kept
        Result of :func:`effective_pairs` for the same rollouts in the same order.
    min_cells
        Least number of kept cells; with fewer the result is ``None``.
    """
    if kept.n_kept < max(min_cells, 1):
        return None
    return {
        readout: mean_activation(positive[readout], kept.positive)
        - mean_activation(negative[readout], kept.negative)
        for readout in positive
    }
