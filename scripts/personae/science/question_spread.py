"""How far |cos(axis, PC1)| depends on the questions that happened to be asked.

All vectors of one layer are recomputed from the rollouts of drawn questions. Kept to one layer: at
the paper's size the sums by question of all layers would not fit into memory.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from personae.data import tables
from personae.data.judge_scores import in_order, primary_scores
from personae.data.table_values import DEFAULT
from personae.data.vector_stacks import stack
from personae.science.alignment import (
    LayerIntervals,
    QuestionCells,
    bootstrap_questions,
    question_cells,
)
from personae.science.projection import FloatArray
from personae.science.resampling import Bootstrap
from personae.science.rollout_stacks import Source
from personae.science.vectors import FULLY_FROM


def load_cells(
    sources: Sequence[Source], subjects: Sequence[str], layer: int
) -> dict[str, QuestionCells]:
    """Sum the rollouts behind each subject's vector by question, at one layer.

    Parameters
    ----------
    sources
        Where each subject's tables are.
    subjects
        Roles that have a fully-role vector, and the default.
    layer
        The one layer, so that all sums are ``[questions, 1, hidden]``.
    """
    wanted = [source for source in sources if source.subject in set(subjects)]
    asked = {source.subject: _questions(source) for source in wanted}
    every = sorted({question for found in asked.values() for question in found.values()})
    cells = {}
    for source in wanted:
        rows = tables.read(
            source.activations,
            "activations",
            filters=[("layer", "==", layer), ("span", "==", "response_mean")],
        )
        found = stack(rows, "response_id")
        keys = [key for key in found.keys if key in asked[source.subject]]
        labels = [asked[source.subject][key] for key in keys]
        cells[source.subject] = question_cells(found.select(keys).vectors, labels, every)
    return cells


def _questions(source: Source) -> dict[str, str]:
    """Question of each extraction rollout that enters the subject's vector."""
    rows = tables.read(source.responses, "role_responses", ["response_id", "question_id", "split"])
    rows = rows.filter(pc.equal(rows["split"], "extraction"))
    ids = rows["response_id"].to_pylist()
    asked = dict(zip(ids, rows["question_id"].to_pylist(), strict=True))
    if source.scores is None:
        return asked
    judged = primary_scores(tables.read(source.scores, "scores"), "role_adherence")
    played = np.asarray(in_order(judged, ids)) >= FULLY_FROM  # False where unscored
    return {key: asked[key] for key, kept in zip(ids, played, strict=True) if kept}


def question_intervals(
    cells: Mapping[str, QuestionCells], scale: FloatArray, plan: Bootstrap
) -> LayerIntervals:
    """|cos(axis, PC1)| with an interval over questions, at the cells' one layer.

    Parameters
    ----------
    cells
        As `load_cells` gives them.
    scale
        ``[hidden]`` by which activations are divided: ones, or the z-scored space's scale.
    plan
        Questions are drawn with replacement.
    """
    scaled = {name: cell._replace(sums=cell.sums / scale) for name, cell in cells.items()}
    default = scaled.pop(DEFAULT)
    return bootstrap_questions(default, list(scaled.values()), plan)


def nowhere_but(layers: Sequence[int], layer: int, value: float) -> pa.Array:
    """Return a column over ``layers`` that is null everywhere but at ``layer``."""
    return pa.array([value if at == layer else None for at in layers], pa.float64())
