"""Checks of the library's texts that need no model.

Malformed records are rejected when they are read. These checks find valid records that would still
bias a study: duplicate texts, system prompts that do not address the model, markup that a chat
template would interpret, unbalanced sets.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain
from typing import Final, NamedTuple

from personae.personas.library.library_loader import Library
from personae.personas.library.text_inventory import LibraryText, all_texts, instructions

_SECOND_PERSON: Final = re.compile(
    r"\b(you|your|yours|yourself|yourselves)\b"
    r"|^(please )?(act|adopt|answer|assume|be|become|embody|imagine|play|pretend|respond)\b"
    r"|^(please )?(speak|take)\b",
    re.IGNORECASE,
)
# An instruction may be an imperative without a "you"; it must not be a description.
_DESCRIBES: Final = re.compile(r"^(I|It|He|She|They|(The|This|An?) (assistant|model|AI))\b")
_MARKUP: Final = re.compile(
    r"<\|[^|]*\|>|</?s>|\[/?INST\]|<</?SYS>>|<(?:start|end)_of_turn>|</?think>|\{\{|\}\}|\{%|%\}"
)
_BRACES: Final = re.compile(r"\{(?!model_name\})[^}]*\}?|(?<!\{model_name)\}")
_CONTROL: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\u200b-\u200f\u202a-\u202e\ufeff]")
_WORD: Final = re.compile(r"\w+")
_QUOTES: Final = (('"', '"'), ("\u201c", "\u201d"), ("(", ")"))
MOST_UNEVEN: Final = 4.0  # largest group to smallest, and longest text to the median one
LONGEST_PROMPT: Final = 90  # words


class TextProblem(NamedTuple):
    """One problem that a check found.

    Attributes
    ----------
    check
        Name of the check.
    part
        Part of the library: roles, traits, extraction, ...
    place
        Location within the part.
    message
        Value and remedy.
    """

    check: str
    part: str
    place: str
    message: str

    def __str__(self) -> str:
        return f"{self.part}: {self.place}: {self.message}"


def check_texts(library: Library) -> list[TextProblem]:
    """Run every check on all parts of the library."""
    return [finding for check in CHECKS.values() for finding in check(library)]


def _slugs(library: Library) -> Iterator[TextProblem]:
    """Names of roles and traits are unique: commands and reports show only the name."""
    homes: dict[str, str] = {}
    for part in ("roles", "traits", "trait_space"):
        for slug in getattr(library, part):
            key = slug.replace("_", "")
            if key in homes:
                text = f"is almost the same name as {homes[key]}; rename one of them"
                yield TextProblem("slugs", part, slug, text)
            else:
                homes[key] = f"{part} {slug}"


def _splits(library: Library) -> Iterator[TextProblem]:
    """No question is in both splits, ignoring case and punctuation."""
    shared = "is in both splits; keep it in one"
    left = {_words(question.text) for question in library.extraction}
    for question in library.heldout:
        if _words(question.text) in left:
            yield TextProblem("splits", "heldout", question.id, shared)
    for slug, trait in library.traits.items():
        left = set(map(_words, trait.questions.extraction))
        for index, text in enumerate(trait.questions.evaluation):
            if _words(text) in left:
                place = f"{slug}.questions.evaluation[{index}]"
                yield TextProblem("splits", "traits", place, shared)
        asked = {_words(text) for text in trait.questions.evaluation}
        for index, example in enumerate(trait.many_shot):
            if _words(example.user) in asked:
                text = "is also an evaluation question; use another example"
                yield TextProblem("splits", "traits", f"{slug}.many_shot[{index}].user", text)


def _words(text: str) -> str:
    return " ".join(_WORD.findall(text.casefold()))


def _second_person(library: Library) -> Iterator[TextProblem]:
    users = (place for place in all_texts(library) if place.kind == "user")
    for place in chain(instructions(library), users):
        wrong, right = _DESCRIBES.match(place.text), _SECOND_PERSON.search(place.text)
        if wrong if place.kind == "instruction" else not right:
            yield _finding("second_person", place, "does not address the model; write 'you'")


def _template_safe(library: Library) -> Iterator[TextProblem]:
    for place in all_texts(library):
        if found := _MARKUP.search(place.text) or _CONTROL.search(place.text):
            text = f"{found[0]!r} may be read as chat-template markup or is invisible; remove it"
            yield _finding("template_safe", place, text)


def _braces_and_quotes(library: Library) -> Iterator[TextProblem]:
    for place in instructions(library):
        if found := _BRACES.search(place.text):
            text = f"{found[0]!r} looks like a placeholder; only {{model_name}} is one"
            yield _finding("braces_and_quotes", place, text)
        for opening, closing in _QUOTES:
            if _unbalanced(place.text, opening, closing):
                text = f"{opening!r} and {closing!r} are unbalanced; close or remove them"
                yield _finding("braces_and_quotes", place, text)


def _unbalanced(text: str, opening: str, closing: str) -> bool:
    if opening == closing:
        return text.count(opening) % 2 == 1
    return text.count(opening) != text.count(closing)


def _duplicates(library: Library) -> Iterator[TextProblem]:
    """No two texts of one kind are equal, ignoring case and punctuation."""
    first: dict[tuple[str, str], LibraryText] = {}
    for place in all_texts(library):
        key = (place.kind, _words(place.text))
        if key in first:
            other = first[key]
            text = f"has the same words as {other.part} {other.place}; change one of them"
            yield _finding("duplicates", place, text)
        else:
            first[key] = place


def _lengths(library: Library) -> Iterator[TextProblem]:
    for place in instructions(library):
        words = len(_WORD.findall(place.text))
        if not 3 <= words <= LONGEST_PROMPT:
            text = f"{words} words; write 3 to {LONGEST_PROMPT}"
            yield _finding("lengths", place, text)


def _balance(library: Library) -> Iterator[TextProblem]:
    """Groups have similar sizes, so that a mean over all texts is not dominated by one group."""
    groups: dict[str, Iterable[str]] = {
        "extraction": (question.topic for question in library.extraction),
        "heldout": (question.topic for question in library.heldout),
        "harm_probes": (probe.category for probe in library.harm_probes),
        "drift": (talk.domain for talk in library.drift.values()),
        "domains": (
            name for name, domain in library.domains.items()
            for persona in domain.personas for _ in persona.topics
        ),
    }  # fmt: skip
    for part, names in groups.items():
        yield from uneven(part, Counter(names))


def uneven(part: str, counts: Counter[str]) -> Iterator[TextProblem]:
    """Yield a finding when the largest group is more than `MOST_UNEVEN` times the smallest."""
    if counts and max(counts.values()) > MOST_UNEVEN * min(counts.values()):
        ((most, many), *_, (least, few)) = counts.most_common()
        text = f"{many} of {most!r} but {few} of {least!r}; balance them"
        yield TextProblem("balance", part, "groups", text)


def _labels(library: Library) -> Iterator[TextProblem]:
    """Every label occurs, and labelled roles and traits exist in the library."""
    labelled = library.labelled
    for trait, answers in labelled.traits.items():
        if trait not in library.traits:
            yield TextProblem("labels", "labelled.traits", trait, "no such trait; correct the name")
        if {answer.score >= 50 for answer in answers} != {True, False}:
            text = "all scores are on one side of 50; add answers on the other"
            yield TextProblem("labels", "labelled.traits", trait, text)
    for index, answer in enumerate(labelled.roles):
        if answer.role != library.default.slug and answer.role not in library.roles:
            text = f"no role {answer.role!r}; correct the name"
            yield TextProblem("labels", "labelled.roles", f"[{index}].role", text)
    values: dict[str, tuple[Sequence[object], set[object]]] = {
        "roles": ([a.score for a in labelled.roles], {0, 1, 2, 3}),
        "role_labels": (
            [a.label for a in labelled.role_labels],
            {"assistant", "human", "nonhuman", "mystical", "other"},
        ),
        "harm": ([a.severity for a in labelled.harm], {0, 1, 2, 3}),
        "delusion_risk": ([a.normalises for a in labelled.delusion_risk], {1, 2, 3, 4, 5}),
    }
    for part, (given, wanted) in values.items():
        if missing := wanted - set(given):
            text = f"no answer has {sorted(map(str, missing))}; add some"
            yield TextProblem("labels", f"labelled.{part}", "labels", text)


def _finding(check: str, place: LibraryText, message: str) -> TextProblem:
    return TextProblem(check, place.part, place.place, message)


CHECKS: Final[dict[str, Callable[[Library], Iterable[TextProblem]]]] = {
    "slugs": _slugs,
    "splits": _splits,
    "duplicates": _duplicates,
    "second_person": _second_person,
    "template_safe": _template_safe,
    "braces_and_quotes": _braces_and_quotes,
    "lengths": _lengths,
    "balance": _balance,
    "labels": _labels,
}
"""Checks by name."""
