"""The rollouts of one role: which vector and which cell each of them enters."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from personae.data import tables
from personae.data.judge_scores import check_unscored, in_order, primary_scores
from personae.data.matching_ids import check_ids
from personae.data.table_values import DEFAULT
from personae.data.vector_stacks import vector_rows
from personae.science.activation_sums import Cell, Sums, question_folds
from personae.science.vectors import FULLY, SOMEWHAT, rollout_kinds


@dataclass(frozen=True)
class RoleRollouts:
    """Rollouts of a role, or of the default Assistant, that have a response.

    Attributes
    ----------
    role
        The role.
    kinds, questions, splits
        Rollout to the kind of vector that it enters, to its question, and to the question's split.
    n_unscored
        Rollouts on extraction questions without a score: they enter no vector.
    """

    role: str
    kinds: Mapping[str, str]
    questions: Mapping[str, str]
    splits: Mapping[str, str]
    n_unscored: int

    @property
    def extraction(self) -> list[str]:
        """The rollouts on extraction questions, from which vectors come."""
        return [key for key, split in self.splits.items() if split == "extraction"]

    def cells(self, most_folds: int) -> dict[str, Cell]:
        """Return the cell of each rollout, with the questions of a split in ``most_folds``."""
        folds = {
            split: question_folds(
                (self.questions[key] for key in self.kinds if self.splits[key] == split), most_folds
            )
            for split in set(self.splits.values())
        }
        return {
            key: Cell(kind, self.splits[key], folds[self.splits[key]][self.questions[key]])
            for key, kind in self.kinds.items()
        }


def load_role(role: str, responses: str, scores: str | None, most_unscored: float) -> RoleRollouts:
    """Read a role's ``role_responses`` and, unless it is the default Assistant, its ``scores``.

    Raises
    ------
    PersonaeError
        When the scores are not those of the responses, or too many are missing.
    """
    columns = ["response_id", "question_id", "split", "response_ids"]
    table = tables.read(responses, "role_responses", columns)
    every = table["response_id"].to_pylist()
    table = table.filter(pc.greater(pc.list_value_length(table["response_ids"]), 0))
    ids = table["response_id"].to_pylist()
    questions = dict(zip(ids, table["question_id"].to_pylist(), strict=True))
    splits = dict(zip(ids, table["split"].to_pylist(), strict=True))
    if role == DEFAULT or scores is None:
        return RoleRollouts(role, dict.fromkeys(ids, DEFAULT), questions, splits, 0)
    judged = primary_scores(tables.read(scores, "scores"), "role_adherence")
    check_ids(scores, judged, every, responses)
    check_unscored(judged, most_unscored, scores)
    kinds = dict(zip(ids, rollout_kinds(in_order(judged, ids)), strict=True))
    unscored = [key for key in ids if splits[key] == "extraction" and math.isnan(judged[key])]
    return RoleRollouts(role, kinds, questions, splits, len(unscored))


def vector_table(rollouts: RoleRollouts, cells: list[Cell], sums: Sums) -> pa.Table:
    """Mean over the extraction rollouts of every kind that enters a vector (AA, role vectors).

    Returns
    -------
    pa.Table
        Columns of ``role_vectors``; a kind without rollouts has no rows.
    """
    parts = []
    for kind in (FULLY, SOMEWHAT, DEFAULT):
        chosen = [
            i
            for i, cell in enumerate(cells)
            if (cell.kind, cell.split) == (kind, "extraction") and sums.counts[i]
        ]
        if not chosen:
            continue
        n, n_layers = int(sums.counts[chosen].sum()), len(sums.layers)
        columns = {
            "role": [rollouts.role] * n_layers,
            "kind": [kind] * n_layers,
            "n": np.full(n_layers, n, dtype=np.int32),
            "n_unscored": np.full(n_layers, rollouts.n_unscored, dtype=np.int32),
            **vector_rows(sums.mean(chosen), sums.layers),
        }
        parts.append(pa.table(columns))
    return tables.assemble(parts, "role_vectors")
