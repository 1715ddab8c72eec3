"""Parameters of the case-study nodes."""

from __future__ import annotations

from personae.workflow.config.study import Study, expand
from personae.workflow.node_params.question_texts import Record


def case_record(study: Study, model: str) -> Record | None:
    """Conversations to replay, and the one cap of the capped arm."""
    section = study.config.cases
    if section is None:
        return None
    known, cap = study.library.case_studies, section.cap
    kept = {"slug", "domain", "kind", "turns"}
    talks = [known[name].model_dump(include=kept) for name in expand(section.conversations, known)]
    return {
        "conversations": [{**talk, "turns": talk["turns"][: section.turns]} for talk in talks],
        "cap": {
            **cap.model_dump(exclude={"band"}),
            "band": str(study.bands(model)[cap.band]),
            "positions": study.config.capping.positions,
        },
        "seed": study.config.seed,
        "sampling": section.sampling.model_dump(),
    }
