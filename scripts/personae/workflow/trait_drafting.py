"""A first draft of a trait from name and description, for a person to review (PV, artifacts)."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import yaml
from pydantic import Field, model_validator

from personae.api.requests import Message
from personae.base.atomic_files import replace_atomically
from personae.base.errors import PersonaeError
from personae.base.field_types import Strict
from personae.endpoints.ask import Outcome, ask_all
from personae.endpoints.chat_answer import ChatAnswer
from personae.endpoints.chat_request import make_body
from personae.endpoints.endpoint_settings import Endpoint
from personae.endpoints.runtime import Runtime
from personae.personas.library.library_loader import Library
from personae.personas.library.records import Text, Trait
from personae.personas.library.text_checks import check_texts
from personae.personas.library.yaml_reader import LibraryError, LibraryReader, slug_of, validate
from personae.workflow.config import StudyConfig

REQUEST: Final = "config/drafting/trait.yaml"
_PLACEHOLDER: Final = re.compile(r"\{(name|description)\}")
_FENCE: Final = re.compile(r"\A```\w*\n(.*)\n```\Z", re.DOTALL)
PAIRS, QUESTIONS = 5, 20
"""Instruction pairs, and questions of each set (PV, artifacts)."""
_LEAST: Final = {"monitoring": 8, "many_shot": 4}


class TraitRequest(Strict):
    """The request to the endpoint that drafts a trait."""

    system: Text = Field(description="System prompt.")
    request: Text = Field(
        description="The request; {name} and {description} stand for the trait's own."
    )

    @model_validator(mode="after")
    def _sound(self) -> TraitRequest:
        for name in ("name", "description"):
            if name not in _PLACEHOLDER.findall(self.request):
                raise ValueError(f"request: lacks {{{name}}}; add it")
        return self

    def messages(self, name: str, description: str) -> list[Message]:
        """Return the chat that requests the draft of one trait."""
        parts = {"name": name.replace("_", " "), "description": description}
        text = _PLACEHOLDER.sub(lambda found: parts[found[1]], self.request)
        return [Message(role="system", content=self.system), Message(role="user", content=text)]


def draft_trait(
    slug: str, description: str, config: StudyConfig, root: Path, seed: int | None = None
) -> Path:
    """Ask the study's artifact writer for a trait and write its file, which must not be there.

    Parameters
    ----------
    slug, description
        Name and description of the trait.
    config
        Names the endpoint (``assignments.artifact_writer``) and the library.
    root
        Project root.
    seed
        Of the request; another one asks for another draft. None is the endpoint's own.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    PersonaeError
        The name is taken, the endpoint does not answer, or its reply is not what every trait of the
        library is: one line per problem. Nothing is written then; the reply is kept.
    """
    writer = config.assignments.artifact_writer
    if writer is None:
        raise PersonaeError("assignments.artifact_writer: not set; name an endpoint there")
    library, name = Library(config.library, root), f"{config.library.traits}/{slug}.yaml"
    _refuse_taken(library, root, name)
    runtime = replace(Runtime.of(config.model_dump()), root=root)
    endpoint = runtime.endpoint(writer)
    request = LibraryReader(root).record(REQUEST, TraitRequest)
    own = {} if seed is None else {"seed": seed}
    body = make_body(endpoint, request.messages(slug, description), **own)
    (outcome,) = ask_all(writer, [body], runtime)
    item = {"description": description} | _reply(f"endpoints.{writer}", endpoint, outcome)
    trait = _sound(f"the draft of {slug}", slug, item, library)
    _write(root, name, trait, endpoint.model)
    return root / name


def _refuse_taken(library: Library, root: Path, name: str) -> None:
    slug = slug_of(name)
    if (root / name).exists() or slug in library.traits:
        raise LibraryError(f"{name}: {slug} is there already; choose another name, or remove it")
    if slug in library.trait_space:
        raise LibraryError(f"{name}: {slug} is in the trait space; choose another name")


def _reply(place: str, endpoint: Endpoint, outcome: Outcome) -> dict[str, Any]:
    """Return the object that the endpoint wrote."""
    if not isinstance(outcome, ChatAnswer):
        raise PersonaeError(f"{place}: no draft ({outcome.detail}); run again")
    if outcome.finish_reason == "length":
        most = endpoint.max_tokens
        raise PersonaeError(f"{place}.max_tokens: {most} cut the draft off; 10000 is enough")
    if outcome.finish_reason in ("refusal", "content_filter") or not outcome.text.strip():
        said = " ".join(outcome.text.split())[:80]
        raise PersonaeError(f"{place}: no draft ({outcome.finish_reason}: {said!r}); rephrase")
    text = outcome.text.strip()
    fenced = _FENCE.match(text)
    try:
        item = json.loads(fenced[1] if fenced else text, object_pairs_hook=_once)
    except ValueError as error:
        raise LibraryError(f"{place}: the reply is no JSON ({error}); try another --seed") from None
    if not isinstance(item, dict):
        raise LibraryError(f"{place}: the reply is no JSON object; try another --seed")
    if "description" in item:
        raise LibraryError(f"{place}: description: is yours and not asked for; try another --seed")
    return item


def _once(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    keys = [key for key, _ in pairs]
    for key in keys:
        if keys.count(key) > 1:
            raise ValueError(f"the key {key!r} twice")
    return dict(pairs)


def _sound(place: str, slug: str, item: dict[str, Any], library: Library) -> Trait:
    """Return the record, if it is one, of the size asked for, and the library stays sound."""
    trait = validate(place, Trait, item, (), slug=slug)
    before = set(check_texts(library))
    # A part of the library that is there is not read again.
    vars(library)["traits"] = {**library.traits, slug: trait}
    texts = [f"{place}: {found}" for found in check_texts(library) if found not in before]
    if problems := [*_counts(place, trait), *texts]:
        raise LibraryError("\n".join(problems))
    return trait


def _counts(place: str, trait: Trait) -> Iterator[str]:
    sets = trait.questions
    exact = (
        ("pairs", len(trait.pairs), PAIRS),
        ("questions.extraction", len(sets.extraction), QUESTIONS),
        ("questions.evaluation", len(sets.evaluation), QUESTIONS),
    )
    for key, there, wanted in exact:
        if there != wanted:
            yield f"{place}: {key}: {there} entries, {wanted} were asked for; try another --seed"
    for key, least in _LEAST.items():
        if (there := len(getattr(trait, key))) < least:
            yield f"{place}: {key}: {there} entries, {least} are the least; try another --seed"
    if "REFUSAL" not in trait.rubric:
        yield f"{place}: rubric: does not say when to reply REFUSAL; try another --seed"


def _write(root: Path, name: str, trait: Trait, model: str) -> None:
    """Write the file, if it reads back unchanged and no other process has written it."""
    record = trait.model_dump(exclude={"slug"})
    text = yaml.safe_dump(record, sort_keys=False, allow_unicode=True, width=100)
    head = f"# Trait: {trait.slug}. Drafted by {model}; review every line before a study uses it.\n"
    with replace_atomically(root / name) as partial:
        partial.write_text(head + text, encoding="utf-8")
        own = partial.relative_to(root)
        if LibraryReader(root).record(str(own), Trait, slug=trait.slug) != trait:
            raise LibraryError(f"{name}: the draft does not read back as it was written")
        if (root / name).exists():
            raise LibraryError(f"{name}: is there by now; nothing was written")
