"""Read roles, traits and questions in the formats of the two papers' published data.

Both papers write a persona as ``{"instruction": [{"pos", "neg"}], "questions": [...],
"eval_prompt"}``; a role has no ``neg``. The judge prompt is split: its text about the persona
becomes the description, its instructions to the judge become the rubric.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from personae.base.validation_messages import explain
from personae.data.table_values import DEFAULT
from personae.personas.importers.file_reading import (
    ImportedValue,
    json_file,
    json_folder,
    json_records,
    slug_in,
)
from personae.personas.library.import_source import ImportSource
from personae.personas.library.records import Question, Role, Trait
from personae.personas.library.yaml_reader import LibraryError, validate

_M = TypeVar("_M", bound=BaseModel)
_NAMED: Final = re.compile(r"\*\*[^*]+\*\*\W*\s+(?P<about>\S.*)", re.DOTALL)
_DEFINED: Final = re.compile(
    r"^(an?|the)\s[^.,;:]{1,40}?\s(is|are)\s(?=(an?|the|someone|one)\b)", re.I
)
_REFERS: Final = re.compile(
    r"^(?:this|the)(?: \w+){0,2}? "
    r"(?P<verb>refers? to|embod(?:ies|y)|represents?|describes?|denotes?|means|involves|is)"
    r"\s+(?:(?:being|acting as|playing)\s+)?(?=\S)",
    re.I,
)
_SOMEONE: Final = re.compile(r"^(?:an?|the|someone|somebody|one|those|people|any)\b", re.I)
_MEANS: Final = re.compile(r"^This means (?:that )?(\w)")
_LEAST: Final = 2  # questions: one for the vector, one to evaluate it on
_ASKED: Final = re.compile(r"\{(question|answer|prompt|response)\}", re.IGNORECASE)


class _ForeignRecord(BaseModel):
    """A record in an external format; unused keys are ignored."""

    model_config = ConfigDict(extra="ignore", strict=True)


class _Instruction(_ForeignRecord):
    pos: str
    neg: str | None = None


class _Persona(_ForeignRecord):
    instruction: list[_Instruction]
    questions: list[str] = []
    eval_prompt: str = ""


class _QuestionRecord(_ForeignRecord):
    question: str
    id: int | str | None = None


def roles(source: ImportSource, base: Path) -> Iterator[tuple[str, str, Role]]:
    """Yield the roles of a folder with one JSON file each, except ``default.json``."""
    for stem, item in json_folder(base, source.path):
        if stem == DEFAULT:
            continue
        slug = f"{source.prefix}{_named(item, stem)}"
        persona = _checked(item, _Persona)
        about, _ = _split_prompt(persona.eval_prompt)
        record = {
            "description": _who(about) or f"A {stem.replace('_', ' ')}.",
            # The prompt's instructions to the judge are the same 0-3 scale for every role: ours.
            "rubric": about or "The answer is in the character of the role throughout.",
            "prompts": [each.pos for each in persona.instruction],
        }
        known = {"slug": slug, "category": source.category}
        yield item.where, slug, validate(item.where, Role, record, (), **known)


def default_assistant(source: ImportSource, base: Path) -> Iterator[tuple[str, str, Role]]:
    """Yield the default Assistant of one JSON file; an empty prompt means no system prompt."""
    item = json_file(base, source.path)
    prompts = [each.pos.strip() or None for each in _checked(item, _Persona).instruction]
    record = {"description": "The model's own default character.", "prompts": prompts}
    yield (
        item.where,
        DEFAULT,
        validate(item.where, Role, record, (), slug=DEFAULT, category=DEFAULT),
    )


def questions(source: ImportSource, base: Path) -> Iterator[tuple[str, str, Question]]:
    """Yield the questions of JSON lines ``{"question", "id"}``.

    # ASSUME: a question that the published list contains under two ids is kept twice, so that a
    # study uses the paper's questions. The library card reports it.
    """
    for number, item in enumerate(json_records(base, source.path)):
        asked = _checked(item, _QuestionRecord)
        known = number if asked.id is None else asked.id
        name = known if isinstance(known, str) else f"q{known:03d}"
        slug = f"{source.prefix}{slug_in(f'{item.where}: id', name, 'correct it')}"
        record = {"id": slug, "topic": source.category, "text": asked.question}
        yield item.where, slug, validate(item.where, Question, record, ())


def axis_traits(source: ImportSource, base: Path) -> Iterator[tuple[str, str, Trait]]:
    """Yield the traits of a folder with one JSON file each.

    # ASSUME: the first half of the published questions is used for extraction and the second half
    # for evaluation, so that no vector is evaluated on the questions it was extracted on.
    """
    for stem, item in json_folder(base, source.path):
        persona = _checked(item, _Persona)
        if len(persona.questions) < _LEAST:
            message = f"questions: {len(persona.questions)}; give at least {_LEAST}"
            raise LibraryError(f"{item.where}: {message}, half of which are used for evaluation")
        half = (len(persona.questions) + 1) // 2
        sets = {"extraction": persona.questions[:half], "evaluation": persona.questions[half:]}
        yield _trait(source, stem, item, persona, sets)


def persona_vector_traits(source: ImportSource, base: Path) -> Iterator[tuple[str, str, Trait]]:
    """Yield the traits of ``trait_data_extract/``, evaluated on ``trait_data_eval/``."""
    for stem, item in json_folder(base, f"{source.path}/trait_data_extract"):
        persona = _checked(item, _Persona)
        other = json_file(base, f"{source.path}/trait_data_eval/{stem}.json")
        evaluation = _checked(other, _Persona).questions
        if not evaluation:
            raise LibraryError(f"{other.where}: questions: empty; add evaluation questions")
        sets = {"extraction": persona.questions, "evaluation": evaluation}
        yield _trait(source, stem, item, persona, sets)


def _trait(
    source: ImportSource,
    stem: str,
    item: ImportedValue,
    persona: _Persona,
    questions: dict[str, Any],
) -> tuple[str, str, Trait]:
    slug = f"{source.prefix}{_named(item, stem)}"
    about, rubric = _split_prompt(persona.eval_prompt)
    for index, each in enumerate(persona.instruction):
        if each.neg is None:
            raise LibraryError(f"{item.where}: instruction[{index}].neg: missing; add it")
    name = stem.replace("_", " ")
    record = {
        "name": name,
        "description": about or f"The answer is {name}.",
        "pairs": [{"positive": each.pos, "negative": each.neg} for each in persona.instruction],
        "questions": questions,
        "rubric": rubric or f"Score how {name} the answer is, from 0 to 100, or reply REFUSAL.",
    }
    return item.where, slug, validate(item.where, Trait, record, (), slug=slug)


def _named(item: ImportedValue, stem: str) -> str:
    return slug_in(item.where, stem, "rename the file")


def _split_prompt(prompt: str) -> tuple[str, str]:
    """Split a judge prompt into the persona's description and the instructions to the judge.

    The description is the text after the bold name in its paragraph. Paragraphs with placeholders
    for question and answer are dropped, since our judges use their own prompt template.
    """
    about, asked = "", []
    for paragraph in re.split(r"\n\s*\n", prompt.strip()):
        found = _NAMED.search(paragraph)
        if found and not about:
            about = " ".join(found["about"].split())
            about = _MEANS.sub(lambda means: means[1].upper(), about)
        elif paragraph and not _ASKED.search(paragraph):
            asked.append(paragraph.strip())
    return about, "\n".join(asked)


def _who(about: str) -> str:
    """Return "A rogue of the sea" for "A pirate is ..." and for "This refers to a rogue ...".

    It stands after "You are" in a judge's prompt: what names no one is given someone.
    """
    who = _DEFINED.sub("", about)
    if (found := _REFERS.match(who)) and who == about:
        who = who[found.end() :]
        if not _SOMEONE.match(who):
            who = f"someone who {_third(found['verb'])} {who[:1].lower()}{who[1:]}"
    return who[:1].upper() + who[1:]


def _third(verb: str) -> str:
    """Return the verb that says what someone is, from one that says what a word stands for."""
    return "embodies" if verb.lower().startswith(("embod", "represent")) else "stands for"


def _checked(item: ImportedValue, model: type[_M]) -> _M:
    """Validate an external record; errors name file and place."""
    if not isinstance(item.data, dict):
        raise LibraryError(f"{item.where}: must be a record of keys, not {item.data!r:.60}")
    try:
        return model.model_validate(item.data)
    except ValidationError as error:
        lines = explain(item.where, error, model, item.data)
        raise LibraryError("\n".join(lines)) from None
