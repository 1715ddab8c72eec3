"""Rows of the table ``library_card``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from statistics import median
from typing import Any, Final

from personae.personas.library import Library
from personae.personas.library.text_checks import CHECKS, LONGEST_PROMPT, MOST_UNEVEN, TextProblem
from personae.personas.library.text_inventory import LibraryText, all_texts, instructions
from personae.report.library_card.library_sizes import categories, entries, n_counted, too_few
from personae.report.library_card.measured_checks import (
    NEAR,
    TOLD_APART,
    Contrast,
    Opposing,
    OpposingEngine,
    contrasts,
    margins,
    nearest,
)

Row = dict[str, Any]
Scope = Mapping[str, Sequence[str]]
"""Maps a part of the library to the names that a study uses."""

_SHOWN: Final = 5  # findings listed in a row


def card_rows(
    library: Library,
    engine: OpposingEngine,
    scope: Scope | None,
    judges: Sequence[Opposing] = ("embedding", "likelihood"),
) -> list[Row]:
    """Return the rows of the card: counts of entries and the result of every check.

    Parameters
    ----------
    scope
        Names whose texts are embedded and judged; None means the whole library. All other checks
        always cover the whole library.
    judges
        Judges that tell whether two sides are opposed: likelihood, embedding.
    """
    return [
        *_counts(library),
        *_texts(library),
        *_near(library, engine, scope),
        *_opposed(library, engine, scope, judges),
    ]


def _row(part: str, check: str, n: int, found: Sequence[str], **measured: Any) -> Row:
    shown = [*found[:_SHOWN], *([f"... and {len(found) - _SHOWN} more"] if found[_SHOWN:] else [])]
    return {
        "part": part,
        "check": check,
        "scope": "library",
        "n": n,
        "n_found": len(found),
        "value": None,
        "threshold": None,
        "passed": not found,
        "found": "\n".join(shown),
        **measured,
    }


def _counts(library: Library) -> Iterator[Row]:
    found = entries(library)
    for part, size in found.items():
        yield _row(part, "entries", size, [])
    # Malformed records were rejected when the library was read.
    read = sum(size for part, size in found.items() if part not in ("topics", "roles, susceptible"))
    yield _row("all", "schema", read, [])
    yield _row("all", "counts", n_counted(), too_few(library))
    for part, counts in categories(library):
        listed = "\n".join(f"{name}: {n}" for name, n in counts.most_common())
        ratio = max(counts.values(), default=0) / max(min(counts.values(), default=1), 1)
        measured = {"value": ratio, "threshold": MOST_UNEVEN, "passed": ratio <= MOST_UNEVEN}
        yield _row(part, "categories", len(counts), [], **measured) | {"found": listed}
    words = [len(place.text.split()) for place in instructions(library)]
    yield _row("instructions", "median words", len(words), [], value=float(median(words)))


def _texts(library: Library) -> Iterator[Row]:
    thresholds = {"lengths": float(LONGEST_PROMPT), "balance": MOST_UNEVEN}
    sizes = Counter(place.part for place in all_texts(library))
    for check, run in CHECKS.items():
        by_part: dict[str, list[TextProblem]] = {}
        for finding in run(library):
            by_part.setdefault(finding.part, []).append(finding)
        threshold = thresholds.get(check)
        clean = sum(sizes.values()) - sum(sizes[part] for part in by_part)
        for part, findings in by_part.items():
            found = [f"{finding.place}: {finding.message}" for finding in findings]
            yield _row(part, check, sizes[part], found, threshold=threshold)
        if not by_part:
            yield _row("all", check, clean, [], threshold=threshold)


def _near(library: Library, engine: OpposingEngine, scope: Scope | None) -> Iterator[Row]:
    places = [place for place in all_texts(library) if _within(place, scope)]
    for part, kind, n, pairs in nearest(engine, places):
        found = [
            f"{near.left.place} and {near.right.place}: {near.cosine:.2f}"
            for near in pairs
            if near.cosine >= NEAR
        ]
        closest = pairs[0].cosine if pairs else None
        measured = {"value": closest, "threshold": NEAR, "scope": _named(scope)}
        yield _row(part, f"near-duplicates, {kind}", n, found, **measured)


def _opposed(
    library: Library, engine: OpposingEngine, scope: Scope | None, judges: Sequence[Opposing]
) -> Iterator[Row]:
    for part in ("traits", "trait_space"):
        pairs = [pair for pair in contrasts(library, part) if _pair_within(pair, part, scope)]
        for judge in judges if pairs else ():
            found = [
                pair.place
                for pair, margin in zip(pairs, margins(engine, pairs, judge), strict=True)
                if margin <= 0
            ]
            share = 1 - len(found) / len(pairs)
            measured = {"value": share, "threshold": TOLD_APART, "passed": share >= TOLD_APART}
            check = f"opposed sides, {judge}"
            yield _row(part, check, len(pairs), found, **measured, scope=_named(scope))


def _within(place: LibraryText, scope: Scope | None) -> bool:
    return scope is None or place.group.split(".")[0] in scope.get(place.part, ())


def _pair_within(pair: Contrast, part: str, scope: Scope | None) -> bool:
    return scope is None or pair.place.split(".")[0] in scope.get(part, ())


def _named(scope: Scope | None) -> str:
    return "library" if scope is None else "study"
