"""Persona space layer by layer: its dimension, and the axis against the first component."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from scipy.sparse import csc_array

from personae.data import tables
from personae.data.table_values import DEFAULT, number_or_none
from personae.science.alignment import axis_component_cosines, jackknife_roles
from personae.science.alignment_nulls import ScaledDirection, placebo_cosines, shuffled_axis_null
from personae.science.geometry import (
    PCA,
    components_for_variance,
    outlier_dimensions,
    participation_ratio,
)
from personae.science.jackknife import LOG, delete_many_interval
from personae.science.permutations import permutation_p, permuted_labels
from personae.science.persona_space import PersonaSpace
from personae.science.projection import Activations
from personae.science.question_spread import question_intervals
from personae.science.question_sums import QuestionSums
from personae.science.resampling import encode
from personae.science.vectors import FULLY

FloatArray = NDArray[np.float64]

_OUTLIER_TIMES_MEDIAN: Final = 50.0
_DIMENSION_SHUFFLES: Final = 100
_DIMENSION_DRAWS: Final = 200  # of the roles that stay
_DIMENSIONS: Final = 512  # of a block
_DIMENSION_COLUMNS: Final = ("components_share", "components_share_low", "components_share_high")


class SpaceSettings(NamedTuple):
    """Settings of the summary of persona space.

    Attributes
    ----------
    variance
        Share of variance for which components are counted (paper: 0.7).
    permutations
        Shuffles of the labels, and random halves of the questions.
    seed
        Of the shuffles.
    """

    variance: float
    permutations: int
    seed: int


class LayerNull(NamedTuple):
    """Rollouts of one layer, and shuffles of their default/role labels.

    Attributes
    ----------
    activations
        ``[n, 1, hidden]``.
    shuffles
        ``[permutations, n]``, see `personae.science.alignment_nulls.label_shuffles`.
    subjects, questions
        ``[n]`` role (or the default) and question of every rollout.
    """

    activations: Activations
    shuffles: FloatArray
    subjects: NDArray[np.str_]
    questions: NDArray[np.str_]


def layer_table(
    space: PersonaSpace,
    reliability: Mapping[str, list[Any]],
    null: LayerNull,
    sums: QuestionSums | None,
    settings: SpaceSettings,
) -> pa.Table:
    """Dimension of persona space and alignment of the axis at one layer (AA, persona space).

    Parameters
    ----------
    space
        At one layer.
    reliability
        Split-half reliability of the axis at that layer, as columns of one row, see
        `personae.science.reliability.reliability_columns`.
    null
        Rollouts of that layer with shuffles of their labels.
    sums
        Sums by question behind the default and every row at that layer, for an interval over
        questions; ``None`` leaves it out.

    Returns
    -------
    pa.Table
        Columns of ``space_layers``, one row per scaling. ``axis_pc1_cosine`` is |cos|, 0 to 1.
    """
    outliers = outlier_dimensions(space.vectors, times_median=_OUTLIER_TIMES_MEDIAN)
    kinds = [row.kind for row in space.rows]
    shared = {
        "layer": list(space.layers),
        "n_roles": [len({row.role for row in space.rows})],
        "n_fully": [kinds.count(FULLY)],
        "n_somewhat": [len(kinds) - kinds.count(FULLY)],
        "outlier_dimensions": [len(outliers)],
        **reliability,
    }
    nulls = _nulls(space, null)
    dimension = _dimension_null(null, settings) if sums is not None else (None,) * 3
    parts = []
    for scaling, fit in space.fits.items():
        columns = {
            **shared,
            "scaling": [scaling],
            "participation_ratio": participation_ratio(fit.variance),
            "components_needed": components_for_variance(fit.explained, settings.variance),
            **{
                name: pa.array(
                    [number_or_none(value if scaling == "centred" else None)], pa.float64()
                )
                for name, value in zip(_DIMENSION_COLUMNS, dimension, strict=True)
            },
            "axis_pc1_cosine": axis_component_cosines(fit, space.axis)[:, 0],
            **_intervals(space, fit, sums),
            **nulls[scaling],
        }
        parts.append(pa.table(columns))
    return tables.assemble(parts, "space_layers")


def _dimension_null(null: LayerNull, settings: SpaceSettings) -> tuple[float, float, float]:
    """Components needed, as a share of those that roles shuffled within questions need.

    Returns the share of the shuffles' median, and its interval over roles, from draws without a
    third of them. Data and null are counted alike: role means of the same rollouts, of which each
    role has as many. Components are counted in fractions, so that the share changes with the roles.
    """
    roles = np.flatnonzero(null.subjects != DEFAULT)
    codes = encode(null.subjects[roles])
    times = min(settings.permutations, _DIMENSION_SHUFFLES)
    shuffled = permuted_labels(codes, times, settings.seed, null.questions[roles])
    grams = _centred_grams(null.activations[:, 0], roles, np.concatenate([[codes], shuffled]))
    needed = _fraction_needed(np.linalg.eigvalsh(grams), settings.variance)
    null_median = np.median(needed[1:])
    n = len(grams[0])
    deleted = max(1, n // 3)
    rng = np.random.default_rng(settings.seed)
    without = np.empty(_DIMENSION_DRAWS)
    for draw in range(_DIMENSION_DRAWS):
        kept = np.sort(rng.permutation(n)[deleted:])
        rest = grams[0][np.ix_(kept, kept)]
        rest = rest - rest.mean(axis=0) - rest.mean(axis=1, keepdims=True) + rest.mean()
        without[draw] = _fraction_needed(np.linalg.eigvalsh(rest)[np.newaxis], settings.variance)[0]
    found = delete_many_interval(
        float(needed[0] / null_median), without / null_median, n, deleted, LOG
    )
    return found.estimate, found.low, found.high


def _fraction_needed(eigenvalues: NDArray[np.floating[Any]], variance: float) -> FloatArray:
    """Components that explain ``variance``, a part of the last one counted as its part ``[b]``.

    ``eigenvalues [b, n]`` ascend. NaN where none is positive.
    """
    held = eigenvalues[:, ::-1].clip(0.0)
    total = held.sum(axis=1)
    found = np.full(len(held), np.nan)
    for row in np.flatnonzero(total > 0.0):
        shares = np.concatenate([[0.0], np.cumsum(held[row]) / total[row]])
        found[row] = np.interp(variance, shares, np.arange(len(shares)))
    return found


def _centred_grams(
    activations: Activations, rows: NDArray[np.int64], labels: NDArray[np.int64]
) -> FloatArray:
    """Gram matrices ``[b, groups, groups]`` of groups' means, minus the mean over groups.

    ``labels [b, len(rows)]`` divide the ``rows`` of ``activations [n, hidden]`` into groups, ``b``
    times. Added up over blocks of dimensions, in float64.
    """
    sizes = np.bincount(labels[0])[:, np.newaxis]
    ends, ones = np.arange(len(rows) + 1), np.ones(len(rows))
    members = [csc_array((ones, given, ends), (len(sizes), len(rows))).tocsr() for given in labels]
    grams = np.zeros((len(labels), len(sizes), len(sizes)))
    for start in range(0, activations.shape[1], _DIMENSIONS):
        values = activations[rows, start : start + _DIMENSIONS].astype(np.float64)
        for gram, member in zip(grams, members, strict=True):
            means = (member @ values) / sizes
            means -= means.mean(axis=0)
            gram += means @ means.T
    return grams


def _intervals(
    space: PersonaSpace,
    fit: PCA,
    sums: QuestionSums | None,
) -> dict[str, FloatArray | pa.Array]:
    """Bounds of |cos(axis, PC1)| over roles and, with sums, over questions."""
    over_roles = jackknife_roles(
        space.default / fit.scale,
        space.vectors / fit.scale,
        names=[row.role for row in space.rows],
        in_axis=space.fully,
    )
    low: Sequence[float] | FloatArray | None = None
    high: Sequence[float] | FloatArray | None = None
    if sums is not None:
        over_questions = question_intervals(sums, space.fully, fit.scale[0])
        low, high = over_questions.low, over_questions.high
    return {
        "axis_pc1_low": over_roles.low,
        "axis_pc1_high": over_roles.high,
        "questions_low": pa.array([None] if low is None else low, pa.float64()),
        "questions_high": pa.array([None] if high is None else high, pa.float64()),
    }


def _nulls(space: PersonaSpace, null: LayerNull) -> dict[str, dict[str, FloatArray]]:
    """Reference values of |cos(axis, PC1)| per scaling: shuffled labels; each role as default."""
    shuffled = shuffled_axis_null(
        null.activations,
        null.shuffles,
        [ScaledDirection(fit.components[:, 0], fit.scale) for fit in space.fits.values()],
    )
    found = {}
    for (scaling, fit), draws in zip(space.fits.items(), shuffled, strict=True):
        observed = axis_component_cosines(fit, space.axis)[:, 0]
        placebo = placebo_cosines(
            space.default / fit.scale, space.vectors[space.fully] / fit.scale, fit.components[:, 0]
        )
        found[scaling] = {
            "null_mean": draws.mean(axis=0),
            "null_p95": np.quantile(draws, 0.95, axis=0),
            "p_value": permutation_p(observed, draws),
            "placebo_share": (placebo >= observed).mean(axis=0),
        }
    return found
