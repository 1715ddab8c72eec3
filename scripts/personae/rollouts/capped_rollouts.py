"""Rollouts with and without activation capping (AA, capping evaluation).

Suites: ``roles`` (role prompts x held-out questions) and ``jailbreak`` (persona jailbreaks over
several turns). All arms of an item share its seed, so they differ only by their caps.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from personae.api.requests import Intervention
from personae.api.rollout import Rollout, chat, seed_of
from personae.rollouts.conversation import Dialogue
from personae.science.capping_arms import CappingArm

Capped = Mapping[CappingArm, tuple[Intervention, ...]]
"""Maps every arm to its interventions."""


def role_suite(
    capped: Capped,
    roles: Mapping[str, Sequence[str | None]],
    questions: Sequence[Sequence[str]],
    *,
    seed: int,
) -> list[Rollout]:
    """Cross arms with role prompts and held-out questions (pairs of id and text)."""
    return [
        Rollout(
            id=f"{arm.label}-{role}-p{index}-{question_id}",
            messages=chat(prompt, text),
            seed=seed_of(seed, "capping", role, index, question_id),
            columns={
                "suite": "roles",
                "subject": role,
                "question_id": question_id,
                "question": text,
                "turn": 0,
                **arm.columns(),
            },
            interventions=interventions,
        )
        for arm, interventions in capped.items()
        for role, prompts in roles.items()
        for index, prompt in enumerate(prompts)
        for question_id, text in questions
    ]


def jailbreak_dialogues(
    capped: Capped, conversations: Sequence[Mapping[str, Any]]
) -> list[Dialogue]:
    """Cross arms with persona jailbreaks (records with ``slug``, ``system`` and ``turns``)."""
    return [
        Dialogue(
            id=f"{arm.label}-{conversation['slug']}",
            seed_key=("jailbreak", conversation["slug"]),
            system=conversation["system"],
            users=tuple(conversation["turns"]),
            columns={
                "suite": "jailbreak",
                "subject": conversation["slug"],
                "question_id": conversation["slug"],
                **arm.columns(),
            },
            interventions=interventions,
        )
        for arm, interventions in capped.items()
        for conversation in conversations
    ]
