"""Claims, their outcomes, and the scoring of both into rows of the scorecard."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, NamedTuple

from personae.report.scorecard.evidence import Evidence, NoTraitKeptError
from personae.report.wording import typeset
from personae.science.resampling import Interval

REPRODUCED: Final = "reproduced"
NOT_REPRODUCED: Final = "not reproduced"
NOT_TESTABLE: Final = "not testable here"
VERDICTS: Final = (REPRODUCED, NOT_REPRODUCED, NOT_TESTABLE)

MIN_CLUSTERS: Final = 4
"""Minimum number of questions or conversations for a bootstrap interval."""

_ALL_MODELS: Final = "all models"
_EMPTY: Final[dict[str, Any]] = {
    "value": None,
    "low": None,
    "high": None,
    "null": None,
    "judge": "",
    "n": 0,
    "verdict": NOT_TESTABLE,
}


class MeasuredClaim(NamedTuple):
    """The measured statistic of a claim.

    Attributes
    ----------
    interval
        Value with its 95% interval; NaN bounds if there is none.
    met
        Whether the criterion of the claim holds.
    n
        Number of resampled units: roles, questions, conversations, ... as the statistic states.
    null
        The statistic under the null of the criterion; ``None`` without one.
    judge
        Judge whose scores were used; empty if none.
    detail
        Additional text for the note.
    """

    interval: Interval
    met: bool
    n: int
    null: float | None = None
    judge: str = ""
    detail: str = ""


class Untestable(NamedTuple):
    """The reason why a claim cannot be tested in this study."""

    reason: str


ClaimOutcome = MeasuredClaim | Untestable


@dataclass(frozen=True)
class Claim:
    """One claim of a paper.

    Attributes
    ----------
    paper
        AA or PV.
    section
        Step of the paper's method, by number and name.
    text
        The claim, as a sentence that can be true or false.
    statistic
        MeasuredClaim quantity, with its unit.
    published
        The paper's value; "not reported" if the check is ours.
    criterion
        Condition under which the claim counts as reproduced, fixed before the results.
    measure
        Function that measures the statistic in one model.
    """

    paper: Literal["AA", "PV"]
    section: str
    text: str
    statistic: str
    published: str
    criterion: str
    measure: Callable[[Evidence], ClaimOutcome]


@dataclass(frozen=True)
class CrossClaim:
    """A claim about all models of a study together; attributes as in `Claim`."""

    paper: Literal["AA", "PV"]
    section: str
    text: str
    statistic: str
    published: str
    criterion: str
    measure: Callable[[Sequence[Evidence]], ClaimOutcome]


def point(value: float) -> Interval:
    """Return a value without an interval (NaN bounds)."""
    return Interval(value, math.nan, math.nan)


def untestable(reason: str) -> Callable[[Evidence], ClaimOutcome]:
    """Return a ``measure`` for a claim whose experiment is not part of the workflow."""

    def measure(_: Evidence) -> ClaimOutcome:
        return Untestable(reason)

    return measure


def score_claims(
    claims: Iterable[Claim], cross_claims: Iterable[CrossClaim], models: Sequence[Evidence]
) -> list[dict[str, Any]]:
    """Score every claim in every model, and each cross-model claim once.

    Returns
    -------
    list of dict
        Rows of the ``scorecard`` table, in the order of the claims.
    """
    rows = [
        _row(claim, evidence.model, _measured(claim, evidence))
        for claim in claims
        for evidence in models
    ]
    return rows + [_row(claim, _ALL_MODELS, claim.measure(models)) for claim in cross_claims]


def _measured(claim: Claim, evidence: Evidence) -> ClaimOutcome:
    try:
        return claim.measure(evidence)
    except NoTraitKeptError as error:
        return Untestable(str(error))


def _row(claim: Claim | CrossClaim, model: str, outcome: ClaimOutcome) -> dict[str, Any]:
    """Return the row of the ``scorecard`` table of one claim in one model."""
    if isinstance(outcome, MeasuredClaim) and math.isnan(outcome.interval.estimate):
        outcome = Untestable("the statistic is undefined for these data")
    row = {
        "claim": claim.text,
        "paper": claim.paper,
        "section": claim.section,
        "statistic": claim.statistic,
        "published": claim.published,
        "model": model,
    }
    criterion = f"Criterion: {claim.criterion}."
    if isinstance(outcome, Untestable):
        return row | _EMPTY | {"note": f"{criterion} Not testable: {outcome.reason}."}
    detail = f" Here: {typeset(outcome.detail)}." if outcome.detail else ""
    return row | {
        "value": outcome.interval.estimate,
        "low": _number(outcome.interval.low),
        "high": _number(outcome.interval.high),
        "null": _number(outcome.null),
        "judge": outcome.judge,
        "n": outcome.n,
        "verdict": REPRODUCED if outcome.met else NOT_REPRODUCED,
        "note": criterion + detail,
    }


def _number(value: float | None) -> float | None:
    """Return a float, or ``None`` for a missing or undefined one."""
    return None if value is None or math.isnan(value) else float(value)
