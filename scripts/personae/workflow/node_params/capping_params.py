"""Parameters of the capping nodes: arms, prompts, and the questions that measure the cost."""

from __future__ import annotations

from personae.workflow.config.study import Study
from personae.workflow.node_params.judging_params import role_record
from personae.workflow.node_params.question_texts import Record


def capping_arms(study: Study, model: str) -> list[Record]:
    """Every direction x band x percentile; the uncapped arm is understood."""
    section = study.config.capping
    directions = ["axis", *(f"random{i}" for i in range(section.random_directions))]
    return [
        {"direction": direction, "band": str(band), "percentile": percentile}
        for direction in directions
        for band in study.bands(model)
        for percentile in section.percentiles
    ]


def capping_settings(study: Study) -> Record:
    """Return the floors that are evaluated, and the token positions."""
    section = study.config.capping
    return {**section.evaluated.model_dump(), "positions": section.positions}


def capping_rollouts(study: Study) -> Record:
    """Role prompts x held-out questions that are answered under every arm."""
    section = study.config.capping
    return {
        **capping_settings(study),
        "roles": {
            name: list(role.prompts[: section.prompts]) for name, role in study.capped_roles.items()
        },
        "questions": study.heldout_texts[: section.questions],
        "seed": study.config.seed,
        "sampling": section.sampling.model_dump(),
    }


def jailbreaks(study: Study) -> list[Record]:
    """Persona jailbreaks: system prompt and user turns."""
    return [
        {"slug": slug, "system": conversation.system, "turns": list(conversation.turns)}
        for slug, conversation in study.jailbreaks.items()
    ]


def capping_personas(study: Study) -> dict[str, Record]:
    """Return the rubrics' facts about every persona that is judged under capping."""
    roles = {name: role_record(study, name) for name in study.capped_roles}
    return roles | {
        slug: {"slug": slug, "description": conversation.description}
        for slug, conversation in study.jailbreaks.items()
    }


def capability_arms(study: Study, model: str) -> list[Record]:
    """One cap along the axis and along every random direction; the uncapped arm is understood."""
    cap = study.config.capability.cap
    band = str(study.bands(model)[cap.band])
    directions = ["axis", *(f"random{i}" for i in range(study.config.capping.random_directions))]
    return [
        {"direction": direction, "band": band, "percentile": cap.percentile}
        for direction in directions
    ]


def capability_settings(study: Study) -> Record:
    """Which floors cap, at which tokens, and how responses are generated."""
    section = study.config.capability
    return {
        "pool": section.cap.pool,
        "reading": section.cap.reading,
        "positions": study.config.capping.positions,
        "max_new_tokens": section.max_new_tokens,
        "seed": study.config.seed,
    }


def capability_items(study: Study) -> list[Record]:
    """Short items with exact answers."""
    return [item.model_dump() for item in study.capability_items]


def closed_answers(study: Study) -> list[Record]:
    """Closed questions that measure the cost of capping."""
    return [item.model_dump() for item in study.closed_answers]
