"""Rollouts of capability items under capping arms, and their responses checked by rule."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from personae.api.rollout import Rollout, chat, seed_of
from personae.data.schemas import SCHEMAS
from personae.rollouts.capped_rollouts import Capped
from personae.science.answer_checks import is_correct

Items = Sequence[Mapping[str, Any]]


def capability_rollouts(capped: Capped, items: Items, *, seed: int) -> list[Rollout]:
    """Cross arms with items; no system prompt. All arms of an item share its seed."""
    return [
        Rollout(
            id=f"{arm.label}-{item['id']}",
            messages=chat(None, item["question"]),
            seed=seed_of(seed, "capability", item["id"]),
            columns={
                "kind": item["kind"],
                "item": item["id"],
                "question": item["question"],
                "correct": None,
                **arm.columns(),
            },
            interventions=interventions,
        )
        for arm, interventions in capped.items()
        for item in items
    ]


def checked(responses: pa.Table, items: Items) -> pa.Table:
    """Return ``capability_responses`` with the column ``correct`` filled in."""
    known = {item["id"]: item for item in items}
    right = [
        is_correct(row["response"], known[row["item"]])
        for row in responses.select(["response", "item"]).to_pylist()
    ]
    schema = SCHEMAS["capability_responses"]
    place = schema.get_field_index("correct")
    return responses.set_column(place, schema.field(place), pa.array(right, pa.bool_()))
