"""Parameters of the role-susceptibility nodes."""

from __future__ import annotations

from personae.workflow.config.study import Study
from personae.workflow.node_params.question_texts import Record


def susceptibility(study: Study, model: str) -> Record | None:
    """Susceptible roles x prompts x introspective questions, and how they are steered."""
    section = study.config.susceptibility
    if section is None:
        return None
    middle = study.models[model].middle_layer
    return {
        "roles": {
            name: list(role.prompts[: section.prompts])
            for name, role in study.susceptible_roles.items()
        },
        "questions": [[q.id, q.text] for q in study.library.introspective],
        "layer": middle if section.layer is None else section.layer,
        "unit": section.unit,
        "strengths": list(section.strengths),
        "random_directions": section.random_directions,
        "samples": section.samples,
        "seed": study.config.seed,
        "sampling": section.sampling.model_dump(),
    }
