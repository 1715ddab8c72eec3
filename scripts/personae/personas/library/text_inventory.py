"""All texts of the library with their locations, for checks and search."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import chain
from typing import Final, NamedTuple

from personae.personas.library.library_loader import Library
from personae.personas.library.records import Role, Trait


class LibraryText(NamedTuple):
    """A text of the library.

    Attributes
    ----------
    part
        Part of the library: roles, traits, extraction, ...
    place
        Location within the part, such as ``pirate.prompts[2]``.
    kind
        Kind of text; duplicates are searched within one kind.
    text
        The text.
    group
        Texts of one group are similar on purpose, such as the prompts of one role.
    """

    part: str
    place: str
    kind: str
    text: str
    group: str


def all_texts(library: Library) -> Iterator[LibraryText]:
    """Yield every text that a model or a judge may read, except transcripts and labels."""
    return chain.from_iterable(texts(library) for texts in TEXTS.values())


def instructions(library: Library) -> Iterator[LibraryText]:
    """Yield the texts that are sent as a system prompt or as part of one."""
    kinds = ("prompt", "instruction", "monitoring")
    return (place for place in all_texts(library) if place.kind.startswith(kinds))


def role_texts(role: Role) -> Iterator[LibraryText]:
    """Yield the texts of one role."""
    yield LibraryText(
        "roles", f"{role.slug}.description", "description", role.description, role.slug
    )
    for index, prompt in enumerate(role.prompts):
        if prompt is not None:
            yield LibraryText("roles", f"{role.slug}.prompts[{index}]", "prompt", prompt, role.slug)
    if role.rubric:
        yield LibraryText("roles", f"{role.slug}.rubric", "rubric", role.rubric, role.slug)


def trait_texts(trait: Trait) -> Iterator[LibraryText]:
    """Yield the texts of one trait."""
    slug = trait.slug
    yield LibraryText("traits", f"{slug}.description", "description", trait.description, slug)
    for index, pair in enumerate(trait.pairs):
        for side in ("positive", "negative"):
            place = f"{slug}.pairs[{index}].{side}"
            yield LibraryText("traits", place, "instruction", getattr(pair, side), slug)
    for split in ("extraction", "evaluation"):
        for index, text in enumerate(getattr(trait.questions, split)):
            # Two traits may share a question or a neutral prompt; within one trait it is an error.
            place = f"{slug}.questions.{split}[{index}]"
            yield LibraryText("traits", place, f"question of {slug}", text, place)
    for index, shown in enumerate(trait.many_shot):
        # The user turn of an example must differ from the trait's questions.
        place = f"{slug}.many_shot[{index}]"
        yield LibraryText(
            "traits", f"{place}.user", f"question of {slug}", shown.user, f"{place}.user"
        )
        yield LibraryText("traits", f"{place}.assistant", f"shown {slug}", shown.assistant, place)
    for index, text in enumerate(trait.monitoring):
        place = f"{slug}.monitoring[{index}]"
        yield LibraryText("traits", place, f"monitoring of {slug}", text, slug)


def _roles(library: Library) -> Iterator[LibraryText]:
    return chain.from_iterable(map(role_texts, (*library.roles.values(), library.default)))


def _traits(library: Library) -> Iterator[LibraryText]:
    return chain.from_iterable(map(trait_texts, library.traits.values()))


def _space(library: Library) -> Iterator[LibraryText]:
    for slug, trait in library.trait_space.items():
        for side in ("positive", "negative"):
            text = getattr(trait, side)
            yield LibraryText("trait_space", f"{slug}.{side}", "instruction", text, slug)
        yield LibraryText("trait_space", f"{slug}.name", "adjective", trait.name, slug)


def _questions(library: Library) -> Iterator[LibraryText]:
    for split in ("extraction", "heldout", "introspective"):
        for question in getattr(library, split):
            yield LibraryText(split, question.id, "question", question.text, question.id)


def _probes(library: Library) -> Iterator[LibraryText]:
    for probe in library.harm_probes:
        yield LibraryText("harm_probes", probe.id, "probe", probe.text, probe.id)


def _domains(library: Library) -> Iterator[LibraryText]:
    for name, domain in library.domains.items():
        for persona in domain.personas:
            at = f"{name}.{persona.id}"
            yield LibraryText("domains", f"{at}.description", "user", persona.description, at)
            for topic in persona.topics:
                yield LibraryText(
                    "domains", f"{at}.{topic.id}", "topic", topic.text, f"{at}.{topic.id}"
                )


def _jailbreaks(library: Library) -> Iterator[LibraryText]:
    for slug, talk in library.jailbreak.items():
        if talk.system is not None:
            yield LibraryText("jailbreak", f"{slug}.system", "prompt", talk.system, slug)


TEXTS: Final[dict[str, Callable[[Library], Iterator[LibraryText]]]] = {
    "roles": _roles,
    "traits": _traits,
    "trait_space": _space,
    "questions": _questions,
    "harm_probes": _probes,
    "domains": _domains,
    "jailbreak": _jailbreaks,
}
"""The texts of each part of the library."""
