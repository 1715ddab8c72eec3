"""A first draft of a trait from name and description, for a person to review (PV, artifacts)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final, NamedTuple

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
from personae.personas.library.yaml_reader import LibraryError, LibraryReader, slug_of
from personae.workflow.config import StudyConfig
from personae.workflow.draft_checks import sound_trait

REQUEST: Final = "config/drafting/trait.yaml"
_PLACEHOLDER: Final = re.compile(r"\{(name|description|problems)\}")


class TraitRequest(Strict):
    """The requests to the endpoint that drafts a trait."""

    system: Text = Field(description="System prompt.")
    request: Text = Field(
        description="The request; {name} and {description} stand for the trait's own."
    )
    repair: Text = Field(
        description="The second request, about a reply that cannot be used; {problems} stands for "
        "what is wrong with it, one line each."
    )

    @model_validator(mode="after")
    def _complete(self) -> TraitRequest:
        for key, name in (("request", "name"), ("request", "description"), ("repair", "problems")):
            if name not in _PLACEHOLDER.findall(getattr(self, key)):
                raise ValueError(f"{key}: lacks {{{name}}}; add it")
        return self

    def messages(self, name: str, description: str) -> list[Message]:
        """Return the chat that requests the draft of one trait."""
        parts = {"name": name.replace("_", " "), "description": description}
        text = _PLACEHOLDER.sub(lambda found: parts.get(found[1], found[0]), self.request)
        return [Message(role="system", content=self.system), Message(role="user", content=text)]

    def again(self, reply: str, problems: str) -> list[Message]:
        """Return the turns that request a corrected draft."""
        text = self.repair.replace("{problems}", problems)
        return [Message(role="assistant", content=reply), Message(role="user", content=text)]


class _Writer(NamedTuple):
    """The endpoint that drafts, and the seed of its requests."""

    name: str
    endpoint: Endpoint
    runtime: Runtime
    seed: int | None

    def ask(self, messages: Sequence[Message]) -> str:
        """Return the text of a reply."""
        own = {} if self.seed is None else {"seed": self.seed}
        body = make_body(self.endpoint, messages, **own)
        (outcome,) = ask_all(self.name, [body], self.runtime)
        return _text(f"endpoints.{self.name}", self.endpoint, outcome)


def draft_trait(
    slug: str, description: str, config: StudyConfig, root: Path, seed: int | None = None
) -> Path:
    """Ask the study's artifact writer for a trait and write its file, which must not be there.

    A reply that cannot be used is sent back once, with what is wrong with it.

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
        The name is taken, the endpoint does not answer, or its corrected reply is still not what
        every trait of the library is: one line per problem. Nothing is written then; replies are
        kept among the answers.
    """
    name = config.assignments.artifact_writer
    if name is None:
        raise PersonaeError("assignments.artifact_writer: not set; name an endpoint there")
    path = f"{config.library.traits}/{slug}.yaml"
    _refuse_taken(Library(config.library, root), root, path)
    runtime = replace(Runtime.of(config.model_dump()), root=root)
    writer = _Writer(name, runtime.endpoint(name), runtime, seed)
    request = LibraryReader(root).record(REQUEST, TraitRequest)
    messages = request.messages(slug, description)
    reply = writer.ask(messages)
    try:
        trait = sound_trait(slug, description, reply, Library(config.library, root))
    except LibraryError as error:
        reply = writer.ask([*messages, *request.again(reply, str(error))])
        trait = sound_trait(slug, description, reply, Library(config.library, root))
    _write(root, path, trait, writer.endpoint.model)
    return root / path


def _refuse_taken(library: Library, root: Path, name: str) -> None:
    slug = slug_of(name)
    if (root / name).exists() or slug in library.traits:
        raise LibraryError(f"{name}: {slug} is there already; choose another name, or remove it")
    if slug in library.trait_space:
        raise LibraryError(f"{name}: {slug} is in the trait space; choose another name")


def _text(place: str, endpoint: Endpoint, outcome: Outcome) -> str:
    """Return what the endpoint wrote."""
    if not isinstance(outcome, ChatAnswer):
        raise PersonaeError(f"{place}: no draft ({outcome.detail}); run again")
    if outcome.finish_reason == "length":
        most = endpoint.max_tokens
        raise PersonaeError(f"{place}.max_tokens: {most} cut the draft off; 10000 is enough")
    if outcome.finish_reason in ("refusal", "content_filter") or not outcome.text.strip():
        said = " ".join(outcome.text.split())[:80]
        raise PersonaeError(f"{place}: no draft ({outcome.finish_reason}: {said!r}); rephrase")
    return outcome.text.strip()


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
