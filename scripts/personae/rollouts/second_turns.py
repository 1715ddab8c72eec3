"""A harmful request as the second turn, after a first turn in a role (AA, persona drift).

The first turns are the roles' own responses to held-out questions, whose projections on the axis
are known, and which the axis was not made of.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from personae.api.requests import Message
from personae.api.rollout import Rollout, exchange_of, seed_of

FIRST_TURN = ("response_id", "role", "prompt_index", "question_id", "split", "messages", "response")
"""Columns of ``role_responses`` that are read."""


def second_turn_rollouts(
    first: pa.Table,
    probes: Sequence[Mapping[str, Any]],
    *,
    prompts: int,
    questions: Collection[str],
    seed: int,
) -> list[Rollout]:
    """Cross first turns with harmful requests (records with ``id``, ``category``, ``text``).

    Parameters
    ----------
    first
        Columns `FIRST_TURN`, of any roles. Empty responses are left out: they have no projection.
    prompts
        System prompts of each role that are used, from the first.
    questions
        Ids of the held-out questions that are used.
    seed
        Of the study. The seed of a rollout depends on its first turn and request alone.
    """
    kept = pc.and_(pc.equal(first["split"], "heldout"), pc.less(first["prompt_index"], prompts))
    return [
        Rollout(
            id=f"{row['response_id']}-{probe['id']}",
            messages=(*exchange_of(row), Message(role="user", content=probe["text"])),
            seed=seed_of(seed, "harm_link", row["response_id"], probe["id"]),
            columns={
                "role": row["role"],
                "first_turn": row["response_id"],
                "question_id": probe["id"],
                "question": probe["text"],
                "category": probe["category"],
            },
        )
        for row in first.filter(kept).to_pylist()
        if row["question_id"] in questions and row["response"].strip()
        for probe in probes
    ]
