"""What a drafted trait must be: whole, sound, and without near-duplicates (PV, artifacts)."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterator, Sequence
from typing import Any, Final

from personae.personas.library.library_loader import Library
from personae.personas.library.near_duplicates import distinct_places
from personae.personas.library.records import Trait
from personae.personas.library.text_checks import check_texts
from personae.personas.library.yaml_reader import LibraryError, validate

PAIRS, QUESTIONS = 5, 20
"""Instruction pairs, and questions of each set (PV, artifacts)."""
_LEAST: Final = {"monitoring": 8, "many_shot": 20}
_FENCE: Final = re.compile(r"\A```\w*\n(.*)\n```\Z", re.DOTALL)
_AGAIN: Final = "draft it again with another --seed (personae library draft)"


def sound_trait(slug: str, description: str, reply: str, library: Library) -> Trait:
    """Return the trait that a reply drafts.

    Raises
    ------
    LibraryError
        One line per problem, if it is no record, not of the size asked for, or the library would
        not stay sound with it.
    """
    place = f"the draft of {slug}"
    item = {"description": description} | _parsed(place, reply)
    trait = validate(place, Trait, _divided(place, slug, item), (), slug=slug)
    before = set(check_texts(library))
    # A part of the library that is there is not read again.
    vars(library)["traits"] = {**library.traits, slug: trait}
    texts = [f"{place}: {found}" for found in check_texts(library) if found not in before]
    if problems := [*_counts(place, trait), *texts]:
        raise LibraryError("\n".join(problems))
    return trait


def _divided(place: str, slug: str, item: dict[str, Any]) -> dict[str, Any]:
    """Return the draft without near-duplicates, with its questions divided into the two sets.

    The order of the questions is shuffled once, by the trait's name, so that neither set holds the
    first ideas alone.
    """
    asked = item.get("questions")
    if not isinstance(asked, list) or not all(isinstance(text, str) for text in asked):
        raise LibraryError(f"{place}: questions: must be a list of texts; {_AGAIN}")
    shown = item.get("many_shot")
    examples = [e for e in shown if isinstance(e, dict)] if isinstance(shown, list) else []
    known = (str(example.get("user")) for example in examples)
    kept = [asked[place] for place in distinct_places(asked, known)]
    random.Random(slug).shuffle(kept)
    halves = {"extraction": kept[:QUESTIONS], "evaluation": kept[QUESTIONS : 2 * QUESTIONS]}
    if not (pairs := item.get("pairs")) or not isinstance(pairs, list):
        return {**item, "questions": halves}
    sides = [str(pair.get("positive")) if isinstance(pair, dict) else "" for pair in pairs]
    different = [pairs[place] for place in distinct_places(sides)]
    return {**item, "questions": halves, "pairs": different}


def _counts(place: str, trait: Trait) -> Iterator[str]:
    sets = trait.questions
    if (there := len(trait.pairs)) != PAIRS:
        yield f"{place}: pairs: {there} different ones, {PAIRS} were asked for; {_AGAIN}"
    if (there := len(sets.extraction) + len(sets.evaluation)) < 2 * QUESTIONS:
        yield f"{place}: questions: {there} different ones, {2 * QUESTIONS} are needed; {_AGAIN}"
    for key, least in _LEAST.items():
        if (there := len(getattr(trait, key))) < least:
            yield f"{place}: {key}: {there} entries, {least} are the least; {_AGAIN}"
    if "REFUSAL" not in trait.rubric:
        yield f"{place}: rubric: does not say when to reply REFUSAL; {_AGAIN}"


def _parsed(place: str, text: str) -> dict[str, Any]:
    """Return the object that a reply holds."""
    fenced = _FENCE.match(text)
    try:
        item = json.loads(fenced[1] if fenced else text, object_pairs_hook=_once)
    except ValueError as error:
        raise LibraryError(f"{place}: the reply is no JSON ({error}); {_AGAIN}") from None
    if not isinstance(item, dict):
        raise LibraryError(f"{place}: the reply is no JSON object; {_AGAIN}")
    if "description" in item:
        raise LibraryError(f"{place}: description: is yours and not asked for; {_AGAIN}")
    return item


def _once(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    keys = [key for key, _ in pairs]
    for key in keys:
        if keys.count(key) > 1:
            raise ValueError(f"the key {key!r} twice")
    return dict(pairs)
