"""Persona space layer by layer: its dimension, and the axis against the first component."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from personae.data import tables
from personae.data.table_values import DEFAULT
from personae.science.alignment import (
    QuestionCells,
    axis_component_cosines,
    bootstrap_roles,
)
from personae.science.alignment_nulls import ScaledDirection, placebo_cosines, shuffled_axis_null
from personae.science.geometry import (
    PCA,
    components_for_variance,
    outlier_dimensions,
    participation_ratio,
)
from personae.science.permutations import permutation_p, permuted_labels
from personae.science.persona_space import PersonaRow, PersonaSpace
from personae.science.projection import Activations
from personae.science.question_spread import question_intervals
from personae.science.resampling import Bootstrap, encode
from personae.science.vectors import FULLY

FloatArray = NDArray[np.float64]

_OUTLIER_TIMES_MEDIAN: Final = 50.0
_DIMENSION_SHUFFLES: Final = 100
_DIMENSION_COLUMNS: Final = ("components_share", "components_share_low", "components_share_high")


class SpaceSettings(NamedTuple):
    """Settings of the summary of persona space.

    Attributes
    ----------
    variance
        Share of variance for which components are counted (paper: 0.7).
    permutations
        Shuffles of the labels, and random halves of the questions.
    plan
        Bootstrap over roles and over questions.
    """

    variance: float
    permutations: int
    plan: Bootstrap


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
    reliability: float,
    null: LayerNull,
    cells: Mapping[PersonaRow, QuestionCells] | None,
    settings: SpaceSettings,
) -> pa.Table:
    """Dimension of persona space and alignment of the axis at one layer (AA, persona space).

    Parameters
    ----------
    space
        At one layer.
    reliability
        Split-half reliability of the axis at that layer, see `personae.science.axis_reliability`.
    null
        Rollouts of that layer with shuffles of their labels.
    cells
        Sums by question behind every row and the default at that layer, for an interval over
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
        "split_half": [reliability],
    }
    nulls = _nulls(space, null)
    dimension = _dimension_null(null, settings) if cells is not None else (None,) * 3
    parts = []
    for scaling, fit in space.fits.items():
        columns = {
            **shared,
            "scaling": [scaling],
            "participation_ratio": participation_ratio(fit.variance),
            "components_needed": components_for_variance(fit.explained, settings.variance),
            **{
                name: pa.array([value if scaling == "centred" else None], pa.float64())
                for name, value in zip(_DIMENSION_COLUMNS, dimension, strict=True)
            },
            "axis_pc1_cosine": axis_component_cosines(fit, space.axis)[:, 0],
            **_intervals(space, fit, cells, settings.plan),
            **nulls[scaling],
        }
        parts.append(pa.table(columns))
    return tables.assemble(parts, "space_layers")


def _dimension_null(null: LayerNull, settings: SpaceSettings) -> tuple[float, float, float]:
    """Components needed, as a share of those that roles shuffled within questions need.

    Returns the median share, and its 2.5 and 97.5 percentile over shuffles. Data and null are
    counted alike: role means of the same rollouts, of which each role has as many.
    """
    roles = null.subjects != DEFAULT
    values = null.activations[roles, 0].astype(np.float64)
    codes = encode(null.subjects[roles])

    def needed(labels: NDArray[np.int64]) -> float:
        means = np.zeros((int(codes.max()) + 1, values.shape[1]))
        np.add.at(means, labels, values)
        means /= np.bincount(codes)[:, np.newaxis]
        centred = means - means.mean(axis=0)
        variance = np.linalg.eigvalsh(centred @ centred.T)[::-1].clip(0.0)
        share = np.cumsum(variance) / variance.sum()
        return float((share < settings.variance - 1e-9).sum() + 1)

    times = min(settings.permutations, _DIMENSION_SHUFFLES)
    shuffled = permuted_labels(codes, times, settings.plan.seed, null.questions[roles])
    shares = needed(codes) / np.asarray([needed(labels) for labels in shuffled])
    middle, low, high = np.quantile(shares, [0.5, 0.025, 0.975])
    return float(middle), float(low), float(high)


def _intervals(
    space: PersonaSpace,
    fit: PCA,
    cells: Mapping[PersonaRow, QuestionCells] | None,
    plan: Bootstrap,
) -> dict[str, FloatArray | pa.Array]:
    """Bounds of |cos(axis, PC1)| over roles and, with cells, over questions."""
    over_roles = bootstrap_roles(
        space.default / fit.scale,
        space.vectors / fit.scale,
        plan,
        names=[row.role for row in space.rows],
        in_axis=space.fully,
    )
    low: Sequence[float] | FloatArray | None = None
    high: Sequence[float] | FloatArray | None = None
    if cells is not None:
        over_questions = question_intervals(cells, space.rows, fit.scale, plan)
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
