"""Text views of the library: entries of a part, and one persona in full."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import yaml

from personae.base.errors import PersonaeError
from personae.base.field_types import Strict
from personae.base.validation_messages import did_you_mean
from personae.data.table_values import DEFAULT
from personae.personas.library.labelled_answers import Labelled
from personae.personas.library.library_loader import Library
from personae.personas.library.records import Role, SpaceTrait, Trait
from personae.personas.library.trait_space import expand_trait
from personae.personas.system_prompts import trait_prompt

_NAMES = ("slug", "id", "domain")
_GROUPS = ("category", "topic", "domain", "kind", "persona")
_ABOUT = ("description", "text", "question", "positive", "title", "response")


class ListLine(NamedTuple):
    """One line of a list."""

    name: str
    group: str
    about: str


class Persona(NamedTuple):
    """A role or trait: its record as YAML, and its first question."""

    text: str
    question: str


def entries(library: Library, part: str) -> list[ListLine]:
    """Return the entries of a part of the library, in the order of its files."""
    content = getattr(library, part)
    if isinstance(content, Labelled):
        return [
            ListLine(f"{name}[{index}]", name, answer.response)
            for name in Labelled.model_fields
            for index, answer in enumerate(_answers(getattr(content, name)))
        ]
    records = content.values() if isinstance(content, Mapping) else content
    records = [records] if isinstance(records, Role) else list(records)
    return [_entry(record, index) for index, record in enumerate(records)]


def _answers(labelled: Any) -> list[Any]:
    if isinstance(labelled, dict):
        return [answer for answers in labelled.values() for answer in answers]
    return list(labelled)


def _entry(record: Strict, index: int) -> ListLine:
    data = record.model_dump()
    name, group, about = (
        next((str(data[key]) for key in keys if data.get(key)), "")
        for keys in (_NAMES, _GROUPS, _ABOUT)
    )
    return ListLine(name or f"[{index}]", group, about)


def find(library: Library, name: str) -> Persona:
    """Return a role, a trait, a trait of the trait space, or the default Assistant.

    Raises
    ------
    PersonaeError
        If there is none of this name; suggests a similar one.
    """
    record = _record(library, name)
    if isinstance(record, Trait):
        question = record.questions.extraction[0]
    else:
        question = library.extraction[0].text
    data = record.model_dump(exclude_defaults=True)
    # The pairs expanded from the templates are shown with the rendered chats.
    text = yaml.safe_dump(data, sort_keys=False, allow_unicode=True, width=100)
    return Persona(text.rstrip(), question)


def _record(library: Library, name: str) -> Role | Trait | SpaceTrait:
    if name == DEFAULT:
        return library.default
    for known in (library.roles, library.traits, library.trait_space):
        if name in known:
            return known[name]
    names = [*library.roles, *library.traits, *library.trait_space]
    raise PersonaeError(f"no role or trait {name!r}{did_you_mean(name, names)}; see list")


def system_prompts(
    library: Library, name: str, model_name: str
) -> Sequence[tuple[int, str, str | None]]:
    """Return index, label and text of every system prompt of a persona, as sent to the model.

    Raises
    ------
    PersonaeError
        If there is no such persona.
    """
    record = _record(library, name)
    if isinstance(record, Role):
        return [
            (i, f"prompt {i}", prompt and prompt.replace("{model_name}", model_name))
            for i, prompt in enumerate(record.prompts)
        ]
    if isinstance(record, SpaceTrait):
        record = expand_trait(record, library.trait_space_templates)
    return [
        (i, f"pair {i}, {side}", trait_prompt(adjective, getattr(pair, side)))
        for i, pair in enumerate(record.pairs)
        for side, adjective in (("positive", record.name), ("negative", record.antonym))
    ]
