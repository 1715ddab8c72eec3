"""Parameters of the nodes that judge: judges, rubrics, and the roles and traits judged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from personae.judging.judge_types import OFFLINE_KINDS, RubricKind
from personae.workflow.config.study import Study, own_first
from personae.workflow.judge_rubrics import judge_rubric_templates, judge_templates
from personae.workflow.node_params.question_texts import Record

_MEASURED_TRAITS: Final = 6
_MEASURED_ROLES: Final = 8
PLAIN_KINDS: Final[tuple[RubricKind, ...]] = ("role_label", "harm", "delusion_risk")
"""Rubrics that are the same for every role and trait, which some experiments need."""


def deciding_judge(study: Study, kind: RubricKind) -> str:
    """Return the judge whose scores decide on a kind of rubric, see `Panel.deciding`."""
    judging = study.config.judging
    knows_all = kind in OFFLINE_KINDS or judging.primary != "likelihood"
    return judging.primary if knows_all else str(judging.second)


def judging(study: Study, targets: Mapping[RubricKind, Sequence[str]]) -> Record:
    """Return judges and rubrics as far as scores depend on them, without keys, limits or prices.

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
        "rubric_templates": {
            kind: judge_rubric_templates(study)[kind].model_dump() for kind in targets
        },
        "templates": {kind: found for kind, found in templates.items() if found},
    }


def card_judging(study: Study) -> Record:
    """Return the offline judge that checks, besides the embedder, that a trait's sides differ."""
    asks_model = study.config.judging.needs_model
    primary = "likelihood" if asks_model else "embedding"
    return {"primary": primary, "second": None, "sampled": []}


def measuring(study: Study) -> Record:
    """Return the judges that are measured on the labelled set, and their rubrics."""
    targets: dict[RubricKind, Sequence[str]] = {
        "role_adherence": list(judged_roles(study)),
        "coherence": [""],
    }
    kinds = judged_kinds(study)
    if "trait" in kinds:
        targets["trait"] = list(judged_traits(study))
    targets |= {kind: [""] for kind in PLAIN_KINDS if kind in kinds}
    return {
        **judging(study, targets),
        "kinds": list(targets),
        "bias_checks": study.config.judging.bias_checks,
    }


def judged_kinds(study: Study) -> frozenset[RubricKind]:
    """Return the kinds of rubric that nodes of the study judge by; no other one is measured.

    `tests/unit/workflow/test_node_params.py` compares them with the rules.
    """
    kinds: set[RubricKind] = {"role_adherence", "coherence"}
    if study.trait_names or study.space:
        kinds.add("trait")
    if study.config.susceptibility is not None:
        kinds.add("role_label")
    if study.config.harm is not None or study.config.harm_link is not None:
        kinds.add("harm")
    if study.config.cases is not None:
        kinds |= {"harm", "delusion_risk"}
    return frozenset(kinds)


def role_record(study: Study, role: str) -> Record:
    """Return the rubrics' facts about a role."""
    record = study.library.roles[role]
    return {"slug": role, "description": record.description, "rubric": record.rubric or ""}


def judged_trait(study: Study, trait: str) -> Record:
    """Return the rubrics' facts about a trait."""
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
    # study that adds a labelled trait or role measures its judges again.
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
