"""Parameters of the drift nodes: conversations, simulated users, and the cap."""

from __future__ import annotations

from personae.workflow.config.study import Study
from personae.workflow.node_params.question_texts import Record


def drift_conversations(study: Study) -> list[Record]:
    """Transcripts: who they are, and the turns of both sides."""
    kept = {"slug", "domain", "kind", "turns"}
    return [c.model_dump(include=kept) for c in study.drift_conversations.values()]


def simulation(study: Study) -> Record | None:
    """Return simulated users, their topics and who plays them, or None.

    ``auditor`` is None where the studied model plays the user.
    """
    section, auditor = study.simulated, study.auditor
    if section is None:
        return None
    # Each request has its own seed; log-probabilities are for judges.
    unused = ("seed", "logprobs")
    answering = auditor.answering() if auditor else {}
    own = {name: value for name, value in answering.items() if name not in unused} or None
    return {
        "users": [
            {
                "domain": name,
                "persona": persona.id,
                "description": persona.description,
                "topics": [[topic.id, topic.text] for topic in persona.topics],
            }
            for name, domain in study.simulated_domains.items()
            for persona in domain.personas
        ],
        "turns": section.turns,
        "prompt": study.auditor_prompt.model_dump(),
        "auditor": own,
        "seed": study.config.seed,
        "sampling": study.config.drift.sampling.model_dump(),
    }


def drift_cap(study: Study, model: str) -> Record:
    """The one cap of the capped replays."""
    cap = study.config.drift.cap
    return {
        **cap.model_dump(exclude={"band"}),
        "band": str(study.bands(model)[cap.band]),
        "positions": study.config.capping.positions,
    }
