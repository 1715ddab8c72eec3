"""The dependence of |cos(axis, PC1)| on the sampled questions.

All vectors of one layer are recomputed from the rollouts of drawn questions. Questions are drawn
jointly for all subjects; role vectors, axis and PC1 follow from each draw's inner products.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow.compute as pc
from numpy.typing import NDArray

from personae.data import tables
from personae.data.table_values import DEFAULT
from personae.data.vector_columns import from_half
from personae.science.alignment import (
    LayerIntervals,
    draw_batches,
    jackknife_bounds,
    pc1_cosines,
)
from personae.science.kept_rollouts import read_kept
from personae.science.persona_space import PersonaRow
from personae.science.projection import FloatArray
from personae.science.question_sums import QuestionSums, sums_by_question

BoolArray = NDArray[np.bool_]


def load_question_sums(
    kept: Mapping[str, str], rows: Sequence[PersonaRow], layer: int, folder: Path
) -> QuestionSums:
    """Sum the rollouts behind the default's vector and each role vector by question.

    Parameters
    ----------
    kept
        Subject, the default among them, to its table of ``kept_activations``.
    rows
        The role vectors.
    layer
        A layer at which all rollouts are kept.
    folder
        Where the sums' temporary file is.

    Returns
    -------
    QuestionSums
        Subject 0 is the default, the others are ``rows`` in order. Sums are relative to the
        default's mean activation, in float32: near the data its rounding is too small to matter.
    """
    wanted = {row: i for i, row in enumerate([PersonaRow(DEFAULT, DEFAULT), *rows])}
    subjects = list(dict.fromkeys(row.role for row in wanted))
    every = sorted({question for subject in subjects for question in _asked(kept[subject], layer)})
    origin: FloatArray | None = None
    found: QuestionSums | None = None
    for subject in subjects:
        table = read_kept(kept[subject], layer, "extraction")
        for kind in pc.unique(table["kind"]).to_pylist():
            if (row := PersonaRow(subject, kind)) not in wanted:
                continue
            chosen = table.filter(pc.equal(table["kind"], kind))
            vectors = from_half(chosen).astype(np.float64)
            origin = vectors.mean(axis=0) if origin is None else origin
            if found is None:
                found = QuestionSums(
                    folder,
                    n_questions=len(every),
                    n_subjects=len(wanted),
                    hidden=len(origin),
                )
            questions = chosen["question_id"].to_pylist()
            found.put(wanted[row], *sums_by_question(vectors - origin, questions, every))
    if found is None:
        raise ValueError(f"no rollout of the default Assistant is kept at layer {layer}")
    return found


def _asked(path: str, layer: int) -> list[str]:
    conditions = [("layer", "==", layer), ("split", "==", "extraction")]
    table = tables.read(path, "kept_activations", ["question_id"], conditions)
    return list(pc.unique(table["question_id"]).to_pylist())


def question_intervals(
    sums: QuestionSums,
    in_axis: BoolArray,
    scale: FloatArray,
) -> LayerIntervals:
    """|cos(axis, PC1)| with an interval over questions, at one layer.

    Each question is left out once, for all subjects; role vectors, axis and PC1 are recomputed. A
    row without a rollout on the remaining questions has weight 0.

    Parameters
    ----------
    sums
        Subject 0 is the default, the others are the rows of the PCA.
    in_axis
        ``[rows]`` True for fully-role vectors, of which the axis is made.
    scale
        ``[hidden]`` by which activations are divided: ones, or the z-scored space's scale.
    """
    n_questions, n_subjects = sums.counts.shape
    drawn = np.concatenate([np.ones((1, n_questions)), 1.0 - np.eye(n_questions)])
    parts = [
        _drawn_cosines(sums, drawn[some], in_axis, scale)
        for some in draw_batches(drawn, n_subjects**2)
    ]
    cosines = np.concatenate(parts)[:, np.newaxis]
    return jackknife_bounds(cosines)


def _drawn_cosines(
    sums: QuestionSums, drawn: FloatArray, in_axis: BoolArray, scale: FloatArray
) -> FloatArray:
    """|cos(axis, PC1)| ``[b]`` of questions weighted by ``drawn [b, questions]``."""
    sizes = drawn @ sums.counts  # [b, subjects]
    divisor = np.maximum(sizes, 1.0)[:, :, np.newaxis]  # an absent subject's sum is zero
    gram = np.zeros((*sizes.shape, sizes.shape[1]))
    for dimensions, block in sums.blocks():
        # Neither direction depends on the origin; near the data, rounding errors stay small.
        origin = block.sum(axis=(0, 1), dtype=np.float64) / sums.counts.sum()
        centred = sums.counts[:, :, np.newaxis] * origin  # [questions, subjects, width]
        np.subtract(block.transpose(1, 0, 2), centred, out=centred)
        centred /= scale[dimensions]
        # A draw's vectors are contiguous: their products take a third of the time of strided ones.
        means = (drawn @ centred.reshape(len(centred), -1)).reshape(*sizes.shape, -1)
        means /= divisor
        for of_draw, vectors in zip(gram, means, strict=True):
            of_draw += vectors @ vectors.T
    present = (sizes[:, 1:] > 0.0).astype(np.float64)
    n_present = present.sum(axis=1, keepdims=True)
    cosines = pc1_cosines(gram, present / np.maximum(n_present, 1.0), in_axis)
    return np.where((sizes[:, 0] > 0.0) & (n_present[:, 0] > 1.0), cosines, np.nan)
