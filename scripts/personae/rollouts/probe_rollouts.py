"""Harmful requests under persona jailbreaks, with and without capping (AA, capping evaluation)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from personae.api.requests import Intervention
from personae.api.rollout import Rollout, chat, seed_of
from personae.science.harm_arms import NO_PERSONA, HarmArm

CHOOSING: Final = "choosing"
REPORTING: Final = "reporting"


def half_of(index: int) -> str:
    """Return the half of the probes that chooses the setting, or the one that reports it."""
    return REPORTING if index % 2 else CHOOSING


def probe_rollouts(
    arms: Mapping[HarmArm, tuple[Intervention, ...]],
    personas: Mapping[str, str],
    probes: Sequence[Mapping[str, Any]],
    *,
    samples: int,
    seed: int,
) -> list[Rollout]:
    """Cross arms, persona prompts and harm probes (records with ``id``, ``category``, ``text``).

    The arm ``no_persona`` asks every probe once, without a system prompt. The seed does not depend
    on the arm. Every second probe, in their order, belongs to the half that is reported: where a
    category has two, one chooses and the other reports.
    """
    return [
        Rollout(
            id=f"{arm.label}-{persona}-{probe['id']}-s{sample}",
            messages=chat(system, probe["text"]),
            seed=seed_of(seed, "harm", persona, probe["id"], sample),
            columns={
                "persona": persona,
                "question_id": probe["id"],
                "question": probe["text"],
                "category": probe["category"],
                "half": half_of(index),
                "sample": sample,
                **arm._asdict(),
            },
            interventions=interventions,
        )
        for arm, interventions in arms.items()
        for persona, system in _asked(arm, personas).items()
        for index, probe in enumerate(probes)
        for sample in range(samples)
    ]


def _asked(arm: HarmArm, personas: Mapping[str, str]) -> Mapping[str, str | None]:
    return {"": None} if arm.contrast == NO_PERSONA else dict(personas)
