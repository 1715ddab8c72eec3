"""The dependence of |cos(axis, PC1)| on the sampled questions.

All vectors of one layer are recomputed from the rollouts of drawn questions. Kept to one layer: at
the paper's size the sums by question of all layers would not fit into memory.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow.compute as pc
from numpy.typing import NDArray

from personae.data import tables
from personae.data.table_values import DEFAULT
from personae.data.vector_columns import from_half
from personae.science.alignment import (
    LayerIntervals,
    QuestionCells,
    bootstrap_questions,
    question_cells,
)
from personae.science.kept_rollouts import read_kept
from personae.science.persona_space import PersonaRow
from personae.science.projection import FloatArray
from personae.science.resampling import Bootstrap
from personae.science.vectors import FULLY


def load_cells(
    kept: Mapping[str, str], rows: Sequence[PersonaRow], layer: int
) -> dict[PersonaRow, QuestionCells]:
    """Sum the rollouts behind each role vector, and behind the default's, by question.

    Parameters
    ----------
    kept
        Subject, the default among them, to its table of ``kept_activations``.
    rows
        The role vectors.
    layer
        A layer at which all rollouts are kept; sums are ``[questions, 1, hidden]``.

    Returns
    -------
    dict
        Sums relative to the default's mean activation, in float32: near the data its rounding is
        too small to matter, and at the paper's size the sums fit into memory.
    """
    default = PersonaRow(DEFAULT, DEFAULT)
    wanted = [default, *rows]
    subjects = sorted({row.role for row in wanted}, key=lambda subject: subject != DEFAULT)
    asked = {
        subject: tables.read(
            kept[subject],
            "kept_activations",
            ["question_id"],
            [("layer", "==", layer), ("split", "==", "extraction")],
        )
        for subject in subjects
    }
    every = sorted({q for table in asked.values() for q in table["question_id"].to_pylist()})
    cells: dict[PersonaRow, QuestionCells] = {}
    origin: NDArray[np.float64] | None = None
    for subject in subjects:
        found = read_kept(kept[subject], layer, "extraction")
        for kind in set(found["kind"].to_pylist()):
            if (row := PersonaRow(subject, kind)) not in wanted:
                continue
            chosen = found.filter(pc.equal(found["kind"], kind))
            vectors = from_half(chosen)[:, np.newaxis].astype(np.float64)
            if origin is None:
                origin = vectors.mean(axis=0)
            summed = question_cells(vectors - origin, chosen["question_id"].to_pylist(), every)
            cells[row] = summed._replace(sums=summed.sums.astype(np.float32))
    return cells


def question_intervals(
    cells: Mapping[PersonaRow, QuestionCells],
    rows: Sequence[PersonaRow],
    scale: FloatArray,
    plan: Bootstrap,
) -> LayerIntervals:
    """|cos(axis, PC1)| with an interval over questions, at the cells' one layer.

    Parameters
    ----------
    cells
        As `load_cells` gives them.
    rows
        The rows of the PCA, in order; the axis is made of those of the kind "fully".
    scale
        ``[1, hidden]`` by which activations are divided: ones, or the z-scored space's scale.
    plan
        Questions are drawn with replacement.
    """
    return bootstrap_questions(
        cells[PersonaRow(DEFAULT, DEFAULT)],
        [cells[row] for row in rows],
        plan,
        in_axis=np.asarray([row.kind == FULLY for row in rows]),
        scale=scale,
    )
