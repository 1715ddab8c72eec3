"""Single rollouts that are kept: a sample at all layers, and all of them at a few layers.

What is not a function of sums needs them: the null of shuffled labels, and at the middle layer
intervals over questions and roles that the axis was not made of. They are kept in float16 with a
scale, see `personae.data.vector_columns.to_half`: a relative error of 2^-11 (0.05 %) at most in
each number.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from personae.data import tables
from personae.data.activation_blocks import Block
from personae.data.table_values import DEFAULT
from personae.data.vector_columns import from_half, to_half
from personae.science.alignment_nulls import contrast_weights
from personae.science.vectors import FULLY


@dataclass
class KeptRollouts:
    """Takes single rollouts from blocks.

    Attributes
    ----------
    kinds, questions, splits
        Rollout to the kind of vector that it enters, to its question, and to the question's split.
    sampled
        Rollouts that are kept at all layers.
    layers
        Layers at which all rollouts are kept.
    """

    kinds: Mapping[str, str]
    questions: Mapping[str, str]
    splits: Mapping[str, str]
    sampled: Collection[str]
    layers: Collection[int]
    _parts: list[pa.Table] = field(default_factory=list)

    def add(self, block: Block) -> None:
        """Keep what is wanted of a block."""
        known = np.asarray([key in self.kinds for key in block.ids], dtype=bool)
        sampled = np.asarray([key in self.sampled for key in block.ids], dtype=bool)
        for place, layer in enumerate(block.layers):
            rows = np.flatnonzero(known if layer in self.layers else known & sampled)
            if not rows.size:
                continue
            ids = [block.ids[row] for row in rows]
            columns = {
                "response_id": ids,
                "kind": [self.kinds[key] for key in ids],
                "question_id": [self.questions[key] for key in ids],
                "split": [self.splits[key] for key in ids],
                "sampled": sampled[rows],
                "layer": [layer] * len(ids),
                **to_half(block.vectors[rows, place]),
            }
            self._parts.append(tables.assemble([pa.table(columns)], "kept_activations"))

    def table(self) -> pa.Table:
        """Return the kept rollouts by layer. Columns of ``kept_activations``."""
        kept = tables.assemble(self._parts, "kept_activations")
        return kept.sort_by([("layer", "ascending"), ("response_id", "ascending")])


def spread_over(ids: Collection[str], most: int) -> set[str]:
    """Return ``most`` of ``ids`` at most, evenly spread over them in the order of their names."""
    ordered = sorted(ids)
    places = np.linspace(0, len(ordered) - 1, min(len(ordered), most)).round().astype(int)
    return {ordered[place] for place in places}


@dataclass(frozen=True)
class Rollouts:
    """Sampled extraction rollouts of the default and the roles, for the null of shuffled labels.

    Attributes
    ----------
    activations
        ``[n, layers, hidden]`` float32 response means.
    subjects, questions
        ``[n]`` role and question of each.
    """

    activations: NDArray[np.float32]
    subjects: NDArray[np.str_]
    questions: NDArray[np.str_]

    def at(self, place: int) -> Rollouts:
        """Return the same rollouts at the ``place``-th of their layers: ``[n, 1, hidden]``."""
        return Rollouts(self.activations[:, place : place + 1], self.subjects, self.questions)

    @property
    def weights(self) -> NDArray[np.float64]:
        """``[n]`` signed weights that make the axis of these rollouts: roles weigh the same."""
        return contrast_weights(self.is_default, self.subjects)

    @property
    def is_default(self) -> NDArray[np.bool_]:
        """``[n]`` True for the default Assistant's rollouts."""
        return np.asarray(self.subjects == DEFAULT)


def load_sample(kept: Mapping[str, str], layers: Sequence[int]) -> Rollouts:
    """Read sampled rollouts of every subject (to its file) at consecutive layers.

    Of a role they are those that its "fully" vector, and so the axis, is made of.
    """
    vectors, subjects, questions = [], [], []
    for subject, path in kept.items():
        rows = tables.read(
            path,
            "kept_activations",
            ["response_id", "question_id", "layer", "scale", "vector"],
            [
                ("sampled", "==", True),
                ("kind", "in", [FULLY, DEFAULT]),
                ("layer", ">=", layers[0]),
                ("layer", "<=", layers[-1]),
            ],
        ).sort_by([("layer", "ascending"), ("response_id", "ascending")])
        if not rows.num_rows:
            continue
        found = from_half(rows)
        n = len(found) // len(layers)
        vectors.append(found.reshape(len(layers), n, -1).transpose(1, 0, 2))
        questions += rows["question_id"][:n].to_pylist()
        subjects += [subject] * n
    return Rollouts(np.concatenate(vectors), np.asarray(subjects), np.asarray(questions))


def read_kept(path: str, layer: int, split: str) -> pa.Table:
    """Return all rollouts of one split at a layer at which all are kept, by response."""
    found = tables.read(path, "kept_activations", filters=_rows_of(layer, split))
    return found.sort_by("response_id")


def count_kept(path: str, layer: int, split: str) -> int:
    """Return how many rollouts `read_kept` would return, without reading their activations."""
    columns = ["response_id"]
    return len(tables.read(path, "kept_activations", columns, _rows_of(layer, split)))


def _rows_of(layer: int, split: str) -> list[tuple[str, str, Any]]:
    return [("layer", "==", layer), ("split", "==", split)]
