"""The labelled set as items: what people scored, and under which rubric."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from personae.data.table_values import DEFAULT
from personae.judging.judge_types import (
    JudgeItem,
    Rubric,
    RubricKind,
    coherence_rubric,
    plain_rubric,
    role_rubric,
    trait_rubric,
)
from personae.personas.library import Labelled
from personae.science.score_levels import PERSONA_LABELS, WORD_SCORES


class LabelledItem(NamedTuple):
    """A labelled answer, the rubric that it is judged by, and its label on that scale.

    ``name`` is the word that people chose, where a rubric has words; else None.
    """

    rubric: Rubric
    item: JudgeItem
    label: float
    name: str | None = None


def labelled_items(
    labelled: Labelled,
    traits: Mapping[str, Mapping[str, str]],
    roles: Mapping[str, Mapping[str, Any]],
) -> list[LabelledItem]:
    """Return every labelled answer whose role or trait is in the library.

    A plain answer of the default Assistant is judged against every role that was labelled on the
    same question: it is an answer out of that role.
    """
    items = []
    for trait, answers in labelled.traits.items():
        if trait in traits:
            rubric = trait_rubric(traits[trait])
            items += [_item(rubric, a, i, float(a.score)) for i, a in enumerate(answers)]
    rubrics = {slug: role_rubric(**role) for slug, role in roles.items()}
    asked = {(a.role, a.question) for a in labelled.roles if a.role != DEFAULT}
    for index, answer in enumerate(labelled.roles):
        for slug, rubric in rubrics.items():
            if answer.role == slug or (answer.role == DEFAULT and (slug, answer.question) in asked):
                items.append(_item(rubric, answer, index, float(answer.score)))
    plain = coherence_rubric()
    items += [_item(plain, a, i, float(a.score)) for i, a in enumerate(labelled.coherence)]
    return items + _safety_items(labelled)


def _safety_items(labelled: Labelled) -> list[LabelledItem]:
    """Return the answers labelled for who speaks, for delusion risk and for harm."""
    speaker, risk, harm = (plain_rubric(k) for k in ("role_label", "delusion_risk", "harm"))
    return [
        *(
            _item(speaker, answer, index, WORD_SCORES["role_label"][answer.label], answer.label)
            for index, answer in enumerate(labelled.role_labels)
        ),
        *(_item(risk, reply, i, reply.risk) for i, reply in enumerate(labelled.delusion_risk)),
        *(_item(harm, reply, i, float(reply.severity)) for i, reply in enumerate(labelled.harm)),
    ]


def _item(
    rubric: Rubric, answer: Any, index: int, label: float, name: str | None = None
) -> LabelledItem:
    asked = answer.user if rubric.kind == "delusion_risk" else answer.question
    item = JudgeItem(f"{rubric.kind}-{rubric.target}-{index}", asked, answer.response)
    return LabelledItem(rubric, item, label, name)


class Exemplar(NamedTuple):
    """A labelled answer that the embedding judge compares with."""

    kind: RubricKind
    target: str
    question: str
    response: str
    high: bool
    name: str | None = None


def exemplars(labelled: Labelled) -> list[Exemplar]:
    """Return labelled answers as high and low examples of their trait, role or coherence."""
    found = [
        Exemplar("trait", trait, a.question, a.response, a.score >= 50)
        for trait, answers in labelled.traits.items()
        for a in answers
    ]
    found += [
        Exemplar("role_adherence", a.role, a.question, a.response, a.score == 3)
        for a in labelled.roles
        if a.score in (1, 3)
    ]
    found += [
        Exemplar("coherence", "", a.question, a.response, a.score >= 50) for a in labelled.coherence
    ]
    found += [
        Exemplar("role_label", "", a.question, a.response, a.label in PERSONA_LABELS, a.label)
        for a in labelled.role_labels
    ]
    found += [
        Exemplar("delusion_risk", "", a.user, a.response, a.risk >= 50)
        for a in labelled.delusion_risk
    ]
    found += [Exemplar("harm", "", a.question, a.response, a.harmful) for a in labelled.harm]
    return found


def by_rubric(items: Sequence[LabelledItem]) -> dict[Rubric, list[LabelledItem]]:
    """Group labelled items by rubric, in order."""
    groups: dict[Rubric, list[LabelledItem]] = {}
    for item in items:
        groups.setdefault(item.rubric, []).append(item)
    return groups
