"""Rollouts of subjects, read for what is computed from single rollouts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from personae.data import tables
from personae.data.table_values import DEFAULT
from personae.data.vector_stacks import stack
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
    """Rollouts of the default and the roles on the questions of one split.

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
    def is_default(self) -> NDArray[np.bool_]:
        """``[n]`` True for the default Assistant's rollouts."""
        return np.asarray(self.subjects == DEFAULT)


def load_rollouts(
    sources: Sequence[Source],
    *,
    layers: Sequence[int],
    per_subject: int | None = None,
    split: str = "extraction",
) -> Rollouts:
    """Read up to ``per_subject`` rollouts, or all, of every subject at some layers.

    They are evenly spread over the subject's own rollouts of ``split``, sorted by response.
    """
    vectors, subjects, questions = [], [], []
    for source in sources:
        asked = tables.read(
            source.responses, "role_responses", ["response_id", "question_id", "split"]
        )
        asked = asked.filter(pc.equal(asked["split"], split))
        question = dict(
            zip(asked["response_id"].to_pylist(), asked["question_id"].to_pylist(), strict=True)
        )
        means = tables.read(
            source.activations,
            "activations",
            columns=["response_id", "layer", "vector"],
            filters=[("span", "==", "response_mean"), ("layer", "in", list(layers))],
        )
        usable = sorted(set(pc.unique(means["response_id"]).to_pylist()) & set(question))
        most = len(usable) if per_subject is None else min(len(usable), per_subject)
        places = np.linspace(0, len(usable) - 1, most).round().astype(int)
        keys = [usable[place] for place in np.unique(places)]
        kept = means.filter(pc.is_in(means["response_id"], pa.array(keys)))
        vectors.append(stack(kept, "response_id").select(keys).vectors)
        subjects += [source.subject] * len(keys)
        questions += [question[key] for key in keys]
    return Rollouts(np.concatenate(vectors), np.asarray(subjects), np.asarray(questions))


def axis_reliability(rollouts: Rollouts, *, splits: int, seed: int) -> FloatArray:
    """Mean cosine ``[layers]`` between the axes of two random halves of the questions."""
    weights = contrast_weights(rollouts.is_default, rollouts.subjects)
    return split_half_reliability(
        rollouts.activations, weights, rollouts.questions, splits=splits, seed=seed
    ).cosine
