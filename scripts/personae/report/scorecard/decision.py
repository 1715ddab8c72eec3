"""The one rule that turns a finding into a verdict."""

from __future__ import annotations

import math
from typing import Final, NamedTuple

from personae.report.scorecard.claim import ClaimData, Finding, Outcome, Untestable
from personae.report.scorecard.expectations import (
    Within,
    confirmed,
    excluded,
    holds,
    wording,
)
from personae.report.wording import count
from personae.science.resampling import Interval

REPRODUCED: Final = "reproduced"
NOT_REPRODUCED: Final = "not reproduced"
INCONCLUSIVE: Final = "inconclusive"
NOT_TESTABLE: Final = "not testable here"
PASSED: Final = "check passed"
FAILED: Final = "check failed"
VERDICTS: Final = (REPRODUCED, NOT_REPRODUCED, INCONCLUSIVE, NOT_TESTABLE, PASSED, FAILED)

LEAST_AUC: Final = 0.75
"""A verdict needs a judge whose AUC against labels has its lower bound above this."""

_NULL_REACHES_IT: Final = 0.5
"""With a larger p-value the null's median is at least the estimate."""


class Verdict(NamedTuple):
    """A verdict with its reason, which is empty where the criterion says it all."""

    verdict: str
    reason: str = ""


def decide(
    claim: ClaimData,
    outcome: Outcome,
    judge_auc_low: float | None,
    corrected: Interval | None = None,
) -> Verdict:
    """Decide a claim on its finding.

    ``reproduced`` needs the interval *and* the null: the estimate reaches the smallest size of
    interest, the interval lies beyond the bound and the null's value, and p is at most alpha.
    ``not reproduced`` needs an interval that excludes every size of interest, or a null whose
    median does as well as the data. Everything else is ``inconclusive``.

    Parameters
    ----------
    claim
        The claim.
    outcome
        What measuring it returned.
    judge_auc_low
        Lower bound of the judge's AUC on the claim's rubrics, the lowest of them; ``None`` where
        the judge was not measured. Only used for claims with ``judged`` rubrics.
    corrected
        The estimand corrected for the judge's error, whose interval holds that error too:
        ``reproduced`` needs it to be as expected as well. ``None`` where no correction applies.
    """
    if isinstance(outcome, Untestable):
        return Verdict(NOT_TESTABLE, outcome.reason)
    value = outcome.interval.estimate
    if claim.kind == "check":
        return Verdict(PASSED if holds(claim.expect, value) else FAILED)
    if too_little := _too_little(claim, outcome, judge_auc_low):
        return Verdict(INCONCLUSIVE, too_little)
    significant = outcome.p is not None and outcome.p <= claim.alpha
    tested_by_interval = outcome.p is None and (isinstance(claim.expect, Within) or _margin(claim))
    beyond = confirmed(claim.expect, outcome.interval, outcome.null)
    if beyond and corrected is not None and not confirmed(claim.expect, corrected, outcome.null):
        return Verdict(INCONCLUSIVE, "the interval that holds the judge's own error is too wide")
    if beyond and (significant or tested_by_interval):
        return Verdict(REPRODUCED)
    if excluded(claim.expect, outcome.interval):
        return Verdict(NOT_REPRODUCED, "the interval excludes every size of interest")
    if outcome.p is not None and outcome.p > _NULL_REACHES_IT:
        return Verdict(NOT_REPRODUCED, f"the null does as well (p = {outcome.p:.2f})")
    return Verdict(INCONCLUSIVE, _undecided(claim, outcome, beyond))


def needs(claim: ClaimData) -> tuple[str, str]:
    """Say what "reproduced" and "not reproduced" need, in words."""
    met, unmet = wording(claim.expect)
    if claim.kind == "claim" and not (isinstance(claim.expect, Within) or _margin(claim)):
        met += f", and p is at most {claim.alpha:g}"
        unmet += ", or the null's median does as well"
    return met, unmet


def _margin(claim: ClaimData) -> bool:
    """Whether bound and smallest size coincide: the interval against a margin is the test."""
    return not isinstance(claim.expect, Within) and claim.expect.bound == claim.expect.smallest


def _too_little(claim: ClaimData, found: Finding, judge_auc_low: float | None) -> str:
    """Say why the data cannot decide the claim; empty if they can."""
    if math.isnan(found.interval.estimate):
        return "the estimand is undefined for these data"
    if found.clusters < claim.min_clusters:
        return f"{found.clusters} of at least {claim.min_clusters} units ({claim.unit})"
    if claim.judged and found.judge:
        if judge_auc_low is None or math.isnan(judge_auc_low):
            return f"the judge {found.judge!r} was not measured on {', '.join(claim.judged)}"
        if judge_auc_low <= LEAST_AUC:
            return (
                f"the judge {found.judge!r} has an AUC with lower bound {judge_auc_low:.2f} on "
                f"labelled responses; more than {LEAST_AUC:g} is needed"
            )
    if math.isnan(found.interval.low) or math.isnan(found.interval.high):
        return "no interval can be given"
    return ""


def _undecided(claim: ClaimData, found: Finding, beyond: bool) -> str:
    if not beyond:
        return "the interval holds both sizes of interest and sizes that are none"
    p = "there is no test" if found.p is None else f"p = {found.p:.3f}"
    return f"{p}: the null is not excluded at {claim.alpha:g} with {count(found.n, 'observation')}"
