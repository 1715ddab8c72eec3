"""Persona space layer by layer: its dimension, and the axis against the first component."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

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
from personae.science.permutations import permutation_p
from personae.science.persona_space import PersonaSpace
from personae.science.projection import Activations
from personae.science.question_spread import question_intervals
from personae.science.question_sums import QuestionSums
from personae.science.space_dimension import components_share
from personae.science.vectors import FULLY

FloatArray = NDArray[np.float64]

_OUTLIER_TIMES_MEDIAN: Final = 50.0
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
    dimension: Sequence[float | None] = (None,) * 3
    if sums is not None:
        roles = np.flatnonzero(null.subjects != DEFAULT)
        dimension = components_share(
            null.activations[:, 0],
            roles,
            null.subjects[roles],
            null.questions[roles],
            variance=settings.variance,
            permutations=settings.permutations,
            seed=settings.seed,
        )
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
