"""Sizes of the library, compared with those of a full replication of the two papers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Final

from personae.personas.library import Library
from personae.personas.library.records import Trait

_LABELLED: Final = ("roles", "coherence", "role_labels", "delusion_risk", "harm")
_WANTED: Final = {
    "roles": 275,  # AA, rollouts
    "roles, susceptible": 50,  # ours
    "traits": 7,  # PV, traits
    "trait_space": 240,  # AA, trait space
    "trait_space_templates": 5,  # AA, trait space: prompt pairs
    "extraction": 240,  # AA, rollouts
    "introspective": 5,  # AA, role susceptibility
    "domains": 4,  # AA, persona drift
    "harm_probes": 40,  # ours: 20 categories of 2
    "case_studies": 12,  # ours
    "capability": 150,  # ours: a loss of 10 points can be seen
    **{f"labelled, {part}": 20 for part in _LABELLED},  # ours
}
"""Number of entries that a full replication needs."""


def entries(library: Library) -> dict[str, int]:
    """Return the number of entries of every part of the library."""
    parts = (
        "roles", "traits", "trait_space", "trait_space_templates", "extraction", "heldout",
        "introspective", "closed", "capability", "harm_probes", "domains", "drift", "case_studies",
        "jailbreak",
    )  # fmt: skip
    found = {part: len(getattr(library, part)) for part in parts}
    found["roles, susceptible"] = sum(role.susceptible for role in library.roles.values())
    found["topics"] = sum(_topics(library).values())
    found |= {f"labelled, {name}": len(getattr(library.labelled, name)) for name in _LABELLED}
    found["labelled, traits"] = sum(map(len, library.labelled.traits.values()))
    return found


def too_few(library: Library) -> list[str]:
    """Return one line per part that is smaller than a full replication needs."""
    found = entries(library)
    lines = [
        f"{part}: {found[part]}; {wanted} in a full replication"
        for part, wanted in _WANTED.items()
        if found[part] < wanted
    ]
    for what, (wanted, count) in _OF_EACH.items():
        lines += [
            f"{name}: {n} {what}; {wanted} in a full replication"
            for name, n in count(library).items()
            if n < wanted
        ]
    return lines


def n_counted() -> int:
    """Return the number of counts that `too_few` checks."""
    return len(_WANTED) + len(_OF_EACH)


def _topics(library: Library) -> dict[str, int]:
    return {
        f"{name}.{persona.id}": len(persona.topics)
        for name, domain in library.domains.items()
        for persona in domain.personas
    }


def _of_traits(count: Callable[[Trait], int]) -> Callable[[Library], dict[str, int]]:
    return lambda library: {name: count(trait) for name, trait in library.traits.items()}


_OF_EACH: Final[Mapping[str, tuple[int, Callable[[Library], Mapping[str, int]]]]] = {
    # AA, rollouts.
    "prompts": (5, lambda lib: {name: len(role.prompts) for name, role in lib.roles.items()}),
    # PV, artifacts.
    "pairs": (5, _of_traits(lambda trait: len(trait.pairs))),
    "extraction questions": (20, _of_traits(lambda trait: len(trait.questions.extraction))),
    "evaluation questions": (20, _of_traits(lambda trait: len(trait.questions.evaluation))),
    # PV, monitoring.
    "monitoring prompts": (8, _of_traits(lambda trait: len(trait.monitoring))),
    "examples": (20, _of_traits(lambda trait: len(trait.many_shot))),
    # AA, persona drift.
    "users": (5, lambda lib: {name: len(domain.personas) for name, domain in lib.domains.items()}),
    "topics": (20, _topics),
    # Ours.
    "probes": (2, lambda lib: Counter(probe.category for probe in lib.harm_probes)),
    "labelled answers": (
        20,
        lambda lib: {name: len(answers) for name, answers in lib.labelled.traits.items()},
    ),
}


def categories(library: Library) -> Iterator[tuple[str, Counter[str]]]:
    """Yield the parts that have categories, with the number of entries of each category."""
    yield "roles", Counter(role.category for role in library.roles.values())
    yield "trait_space", Counter(trait.category for trait in library.trait_space.values())
    yield "extraction", Counter(question.topic for question in library.extraction)
    yield "harm_probes", Counter(probe.category for probe in library.harm_probes)
