"""What each node of a study depends on, and nothing more.

The rules hand these records to their nodes as ``params``; Snakemake reruns a node when its record
changes. A record holds the persona's own data and not the whole configuration, so that editing one
role reruns one role. Everything here is plain data that survives being written down.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from personae.config.personas import TraitSpaceSection, TraitsSection
from personae.config.selection import Study, own_first
from personae.judges.base import RubricKind
from personae.judges.sheets import KINDS
from personae.judges.told import judge_sheets, judge_templates
from personae.library import DEFAULT, Question

Record = dict[str, Any]

_MEASURED_TRAITS: Final = 6
_MEASURED_ROLES: Final = 8


def engine_record(study: Study, model: str) -> Record:
    """The model, the embedder and the one engine setting that changes results."""
    return {
        "model": f"results/models/{model}",
        "embedder": f"results/models/{study.config.embedder}",
        "dtype": study.config.engine.dtype,
    }


def judging(study: Study, targets: Mapping[RubricKind, Sequence[str]]) -> Record:
    """Who judges by which rubrics, as far as scores depend on it: no key, limit or price.

    ``targets`` are the roles or traits of every kind of rubric that the node judges by.
    """
    section = study.config.judging
    record = section.model_dump(include={"primary", "second", "sampled"})
    chat = [name for name in section.names if name in study.config.endpoints]
    if not chat:
        return record
    templates = {kind: judge_templates(study, kind, targets[kind]) for kind in targets}
    return {
        **record,
        "endpoints": {name: study.config.endpoints[name].answering() for name in chat},
        "sheets": {kind: judge_sheets(study)[kind].model_dump() for kind in targets},
        "templates": {kind: found for kind, found in templates.items() if found},
    }


def card_judging(study: Study) -> Record:
    """Which offline judge tells whether the sides of a trait are opposed, beside the embedder."""
    asks_model = study.config.judging.needs_model
    primary = "likelihood" if asks_model else "embedding"
    return {"primary": primary, "second": None, "sampled": []}


def measuring(study: Study) -> Record:
    """Who is measured on the labelled set, by which rubrics."""
    targets: dict[RubricKind, Sequence[str]] = {kind: [""] for kind in KINDS}
    targets |= {"trait": list(judged_traits(study)), "role_adherence": list(judged_roles(study))}
    return {**judging(study, targets), "bias_checks": study.config.judging.bias_checks}


def generator(study: Study, model: str) -> Record | None:
    """The endpoint that generates plain responses of a model, or None: the model server does."""
    name = study.config.assignments.generators.get(model)
    if name is None:
        return None
    # What is sampled, and how, is part of the rollouts.
    own = study.config.endpoints[name].answering()
    return {"endpoint": name, **{key: own[key] for key in ("base_url", "model", "extra_body")}}


def role_record(study: Study, role: str) -> Record:
    """What judges know of a role."""
    record = study.library.roles[role]
    return {"slug": role, "description": record.description, "rubric": record.rubric or ""}


def role_rollouts(study: Study, model: str, role: str) -> Record:
    """System prompts x questions x samples of a role, or of the default Assistant."""
    section = study.config.roles
    record = study.library.default if role == DEFAULT else study.roles[role]
    return {
        "role": role,
        "prompts": list(record.prompts[: section.prompts]),
        "questions": {
            "extraction": _texts(study.extraction_questions),
            "heldout": _texts(study.heldout_questions),
        },
        "samples": section.samples,
        "model_name": study.models[model].display_name,
        "seed": study.config.seed,
        "sampling": section.sampling.model_dump(),
    }


def trait_rollouts(study: Study, trait: str, polarity: str) -> Record:
    """Instructions x extraction questions x samples of one side of a trait.

    A trait of the trait space has no questions of its own: it answers the roles' (AA, trait space).
    """
    section: TraitsSection | TraitSpaceSection
    if trait in study.space:
        section, record = study.config.trait_space, study.space[trait]
        questions = _texts(study.extraction_questions[: section.questions])
    else:
        section, record = study.config.traits, study.traits[trait]
        questions = _numbered(record.questions.extraction[: section.questions.extraction])
    return {
        "trait": trait,
        "polarity": polarity,
        "adjective": record.name if polarity == "positive" else record.antonym,
        "instructions": [getattr(pair, polarity) for pair in record.pairs[: section.pairs]],
        "questions": questions,
        "samples": section.samples,
        "seed": study.config.seed,
        "sampling": section.sampling.model_dump(),
    }


def effective_cells(study: Study, trait: str) -> Record:
    """Which (pair, question) cells of a trait enter its vector."""
    if trait in study.space:
        space = study.config.trait_space
        kept = ("min_coherence", "min_difference", "min_cells")
        return {"min_trait": None} | {name: getattr(space, name) for name in kept}
    traits = study.config.traits
    return {"min_trait": traits.min_trait_score, "min_coherence": traits.min_coherence}


def judged_trait(study: Study, trait: str) -> Record:
    """What judges know of a trait."""
    record = study.space.get(trait) or study.library.traits[trait]
    return {
        "slug": trait,
        "name": record.name,
        "antonym": record.antonym,
        "description": record.description,
        "positive": " ".join(pair.positive for pair in record.pairs),
        "negative": " ".join(pair.negative for pair in record.pairs),
        "rubric": record.rubric,
    }


def judged_traits(study: Study) -> dict[str, Record]:
    """Traits on whose labelled answers judges are measured: the study's own, and six at least.

    # ASSUME: the pooled mapping, for traits without labels, is fitted on at least six, however
    # few the study has. The rest of the labelled set would only cost time. The price is that a
    # study that adds a labelled trait or role measures its judges anew.
    """
    labelled = [slug for slug in study.library.labelled.traits if slug in study.library.traits]
    chosen = own_first(labelled, study.trait_names, _MEASURED_TRAITS)
    return {slug: judged_trait(study, slug) for slug in chosen}


def judged_roles(study: Study) -> dict[str, Record]:
    """Roles on whose labelled answers judges are measured: the study's own, and eight at least."""
    roles = dict.fromkeys(answer.role for answer in study.library.labelled.roles)
    labelled = [slug for slug in roles if slug in study.library.roles]
    chosen = own_first(labelled, study.role_names, _MEASURED_ROLES)
    return {slug: role_record(study, slug) for slug in chosen}


def layer_sweep(study: Study, model: str, trait: str) -> Record:
    """Candidate layers and coefficients, on the first evaluation questions of the trait."""
    section = study.config.layer_sweep
    questions = study.traits[trait].questions.evaluation
    return {
        "layers": study.candidate_layers(model),
        "coefficients": list(section.coefficients),
        "questions": _numbered(questions[: section.questions]),
        "samples": section.samples,
        "positions": section.positions,
        "seed": study.config.seed,
        "sampling": section.sampling.model_dump(),
    }


def steering(study: Study, trait: str) -> Record:
    """Coefficients of both signs, on evaluation questions that chose no layer.

    # ASSUME: the alpha sweep starts behind the layer sweep's questions, so that the effect at the
    # chosen layer is not measured on the questions that chose it.
    """
    section, used = study.config.steering, study.config.layer_sweep.questions
    questions = _numbered(study.traits[trait].questions.evaluation)
    return {
        "coefficients": list(section.coefficients),
        "questions": questions[used : used + section.questions],
        "samples": section.samples,
        "positions": section.positions,
        "random_directions": section.random_directions,
        "seed": study.config.seed,
        "sampling": section.sampling.model_dump(),
    }


def monitoring(study: Study, trait: str) -> Record:
    """Graded system prompts and example exchanges, on questions that chose no layer."""
    section, record = study.config.monitoring, study.traits[trait]
    used = study.config.layer_sweep.questions
    shots = [shots for shots in section.shots if shots <= len(record.many_shot)]
    shown = record.many_shot[: max(shots, default=0)]
    return {
        "trait": trait,
        "prompts": _spread(record.graded, section.prompts),
        "examples": [[shot.user, shot.assistant] for shot in shown],
        "shots": shots,
        "questions": _numbered(record.questions.evaluation)[used : used + section.questions],
        "samples": section.samples,
        "seed": study.config.seed,
        "sampling": section.sampling.model_dump(),
    }


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
    """Which floors are evaluated, and at which tokens."""
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
        "questions": _texts(study.heldout_questions[: section.questions]),
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
    """What judges know of every persona whose adherence is judged under capping."""
    roles = {name: role_record(study, name) for name in study.capped_roles}
    return roles | {
        slug: {"slug": slug, "description": conversation.description}
        for slug, conversation in study.jailbreaks.items()
    }


def closed_answers(study: Study) -> list[Record]:
    """Closed questions that measure the cost of capping."""
    return [item.model_dump() for item in study.closed_answers]


def drift_conversations(study: Study) -> list[Record]:
    """Transcripts: who they are, and the turns of both sides."""
    kept = {"slug", "domain", "kind", "turns"}
    return [c.model_dump(include=kept) for c in study.drift_conversations.values()]


def simulation(study: Study) -> Record | None:
    """Who talks to the model about what, and the endpoint that plays these users; None: nobody."""
    section, auditor = study.simulated, study.auditor
    if section is None or auditor is None:
        return None
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
        "sheet": study.auditor_sheet.model_dump(),
        # Each request has a seed of its own; log-probabilities are for judges.
        "auditor": {k: v for k, v in auditor.answering().items() if k not in ("seed", "logprobs")},
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


def _spread(graded: Sequence[str], number: int | None) -> list[str]:
    """Take ``number`` prompts from one end of the grades to the other, or all of them."""
    if number is None or number >= len(graded):
        return list(graded)
    step = (len(graded) - 1) / max(number - 1, 1)
    return [graded[round(index * step)] for index in range(number)]


def _texts(questions: Sequence[Question]) -> list[list[str]]:
    return [[question.id, question.text] for question in questions]


def _numbered(questions: Sequence[str]) -> list[list[str]]:
    return [[f"q{index:02d}", text] for index, text in enumerate(questions)]
