"""Rollouts of all subjects together, for the nulls and the reliability of what is made of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pyarrow.compute as pc
from numpy.typing import NDArray

from personae.data import tables
from personae.data.table_values import DEFAULT
from personae.data.vector_stacks import of_span, stack
from personae.science.projection import FloatArray
from personae.science.reliability import contrast_weights, split_half_reliability


class Source(NamedTuple):
    """The files of one subject; the default Assistant is not judged and has no scores."""

    subject: str
    responses: str
    activations: str
    scores: str | None


@dataclass(frozen=True)
class Rollouts:
    """Extraction rollouts of the default and the roles, for nulls and reliability.

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

    @property
    def is_default(self) -> NDArray[np.bool_]:
        """``[n]`` True for the default Assistant's rollouts."""
        return np.asarray(self.subjects == DEFAULT)


def load_rollouts(sources: Sequence[Source], *, per_subject: int) -> Rollouts:
    """Read up to ``per_subject`` rollouts of every subject, evenly spread over its own."""
    vectors, subjects, questions = [], [], []
    for source in sources:
        asked = tables.read(
            source.responses, "role_responses", ["response_id", "question_id", "split"]
        )
        asked = asked.filter(pc.equal(asked["split"], "extraction"))
        question = dict(
            zip(asked["response_id"].to_pylist(), asked["question_id"].to_pylist(), strict=True)
        )
        means = of_span(tables.read(source.activations, "activations"), "response_mean")
        found = stack(means, "response_id")
        usable = [key for key in found.keys if key in question]
        rows = np.linspace(0, len(usable) - 1, min(len(usable), per_subject)).round().astype(int)
        keys = [usable[row] for row in np.unique(rows)]
        vectors.append(found.select(keys).vectors)
        subjects += [source.subject] * len(keys)
        questions += [question[key] for key in keys]
    return Rollouts(np.concatenate(vectors), np.asarray(subjects), np.asarray(questions))


def axis_reliability(rollouts: Rollouts, *, splits: int, seed: int) -> FloatArray:
    """Mean cosine ``[layers]`` between the axes of two random halves of the questions."""
    weights = contrast_weights(rollouts.is_default, rollouts.subjects)
    return split_half_reliability(
        rollouts.activations, weights, rollouts.questions, splits=splits, seed=seed
    ).cosine
