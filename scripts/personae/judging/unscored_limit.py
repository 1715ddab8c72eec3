"""The limit on unscored responses, which every node applies to every judge."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from personae.base.errors import PersonaeError


def refuse_unscored(judge: str, found: Iterable[tuple[str, str | None]], most: float) -> None:
    """Raise an error when more than the share ``most`` of a judge's verdicts has no score.

    Parameters
    ----------
    judge
        Its name.
    found
        Rubric of every verdict, and why it has no score; None where it has one.
    most
        ``judging.max_unscored``.

    Raises
    ------
    PersonaeError
        With the judge, the rubric, the reasons and the key to change.
    """
    by_kind: dict[str, Counter[str | None]] = {}
    for kind, reason in found:
        by_kind.setdefault(kind, Counter())[reason] += 1
    for kind, counts in by_kind.items():
        n = counts.total()
        del counts[None]
        if counts.total() > most * n:
            reasons = ", ".join(f"{reason} {n}" for reason, n in counts.most_common())
            raise PersonaeError(
                f"judge {judge}: {counts.total()} of {n} responses are unscored on {kind} "
                f"({reasons}), more than judging.max_unscored = {most:g} allows; raise it, correct "
                "the judge, or run again if its endpoint failed"
            )
