"""The dependence of |cos(axis, PC1)| on the sampled questions.

All vectors of one layer are recomputed from the rollouts of drawn questions. Kept to one layer: at
the paper's size the sums by question of all layers would not fit into memory.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow.compute as pc

from personae.data import tables
from personae.data.judge_scores import in_order, primary_scores
from personae.data.table_values import DEFAULT
from personae.data.vector_stacks import Stack, stack
from personae.science.alignment import (
    LayerIntervals,
    QuestionCells,
    bootstrap_questions,
    question_cells,
)
from personae.science.persona_space import FULLY, SOMEWHAT, PersonaRow
from personae.science.projection import FloatArray
from personae.science.resampling import Bootstrap
from personae.science.rollout_stacks import Source
from personae.science.vectors import FULLY_FROM, SOMEWHAT_FROM


def load_cells(
    sources: Sequence[Source], rows: Sequence[PersonaRow], layer: int
) -> dict[PersonaRow, QuestionCells]:
    """Sum the rollouts behind each role vector, and behind the default's, by question.

    Parameters
    ----------
    sources
        Where each subject's tables are; the default is among them.
    rows
        The role vectors.
    layer
        The one layer, so that all sums are ``[questions, 1, hidden]``.

    Returns
    -------
    dict
        Sums relative to the default's mean activation, in float32: near the data its rounding is
        too small to matter, and at the paper's size the sums fit into memory.
    """
    subjects = {row.role for row in rows} | {DEFAULT}
    wanted = sorted(
        (s for s in sources if s.subject in subjects), key=lambda s: s.subject != DEFAULT
    )
    asked = {source.subject: _questions(source) for source in wanted}
    every = sorted(
        {q for of_kind in asked.values() for found in of_kind.values() for q in found.values()}
    )
    cells, origin = {}, None
    for source in wanted:
        found = _means_at(source, layer)
        for kind, questions in asked[source.subject].items():
            if (row := PersonaRow(source.subject, kind)) not in rows and kind != DEFAULT:
                continue
            keys = [key for key in found.keys if key in questions]
            vectors = found.select(keys).vectors.astype(np.float64)
            if origin is None:
                origin = vectors.mean(axis=0)
            summed = question_cells(vectors - origin, [questions[key] for key in keys], every)
            cells[row] = summed._replace(sums=summed.sums.astype(np.float32))
    return cells


def _means_at(source: Source, layer: int) -> Stack:
    """Response means of a subject's rollouts at one layer."""
    rows = tables.read(
        source.activations,
        "activations",
        columns=["response_id", "layer", "vector"],
        filters=[("layer", "==", layer), ("span", "==", "response_mean")],
    )
    return stack(rows, "response_id")


def _questions(source: Source) -> dict[str, dict[str, str]]:
    """Kind of vector to the question of each extraction rollout that enters it."""
    rows = tables.read(source.responses, "role_responses", ["response_id", "question_id", "split"])
    rows = rows.filter(pc.equal(rows["split"], "extraction"))
    ids = rows["response_id"].to_pylist()
    asked = dict(zip(ids, rows["question_id"].to_pylist(), strict=True))
    if source.scores is None:
        return {DEFAULT: asked}
    judged = primary_scores(tables.read(source.scores, "scores"), "role_adherence")
    scores = np.asarray(in_order(judged, ids))  # NaN, where unscored, is of neither kind
    kept = {
        FULLY: scores >= FULLY_FROM,
        SOMEWHAT: (scores >= SOMEWHAT_FROM) & (scores < FULLY_FROM),
    }
    return {
        kind: {key: asked[key] for key, within in zip(ids, mask, strict=True) if within}
        for kind, mask in kept.items()
    }


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
