"""Claims as data, and what measuring one of them returns."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from personae.report.scorecard.evidence import Evidence
from personae.report.scorecard.expectations import Expectation
from personae.science.resampling import Interval


class Finding(NamedTuple):
    """The measured estimand of a claim.

    Attributes
    ----------
    interval
        Estimate with its 95% interval; NaN bounds if there is none.
    p
        One-sided p-value under the null of the claim; ``None`` where the claim has none because
        the interval is the test (`Within`, or a margin), and for checks.
    clusters
        Number of independent units, as the claim's ``unit`` states.
    n
        Number of observations behind the estimate.
    null
        Value that the null reaches (its 95th percentile, or the estimate along random directions);
        the interval must lie beyond it.
    judge
        Judge whose scores were used; empty if none.
    detail
        Additional text for the note.
    """

    interval: Interval
    p: float | None
    clusters: int
    n: int
    null: float | None = None
    judge: str = ""
    detail: str = ""


class Untestable(NamedTuple):
    """The reason why a claim cannot be tested in this study."""

    reason: str


Outcome = Finding | Untestable


@dataclass(frozen=True, kw_only=True)
class ClaimData:
    """Everything about a claim that is fixed before the results.

    Attributes
    ----------
    id
        Short name in kebab case, unique and permanent.
    paper, section
        AA or PV; step of the paper's method, by number and name.
    text
        The claim, as a sentence that can be true or false.
    estimand
        The quantity in one line, with its unit.
    published, published_size
        The paper's value in words ("not reported" if the claim is ours), and as the estimand that
        a simulated study with the published effect has; ``None`` if the paper gives none.
    unit
        What is resampled: "questions", "roles x questions", ...
    null
        How the null is constructed, in one line.
    expect
        Direction, bound and smallest size of interest.
    min_clusters
        With fewer units the verdict is inconclusive and no interval is shown.
    alpha
        Level of the test against the null.
    judged
        Rubrics of the scores that the estimand uses. Where the judge's measured AUC on one of them
        does not have its lower bound above 0.75, the verdict is inconclusive.
    linear_in
        Rubric in whose judged means (or shares) the estimand is linear, as a change between arms
        is: such an estimand is also given corrected for the judge's slope. Empty if there is none.
    kind
        A ``check`` is a statement that no data could contradict if the code is right; it passes or
        fails and counts among no verdicts.
    """

    id: str
    paper: Literal["AA", "PV"]
    section: str
    text: str
    estimand: str
    published: str
    published_size: float | None = None
    unit: str
    null: str
    expect: Expectation
    min_clusters: int = 6
    alpha: float = 0.05
    judged: tuple[str, ...] = ()
    linear_in: str = ""
    kind: Literal["claim", "check"] = "claim"


@dataclass(frozen=True, kw_only=True)
class Claim(ClaimData):
    """A claim about one model; ``measure`` computes its estimand from the model's tables."""

    measure: Callable[[Evidence], Outcome]


@dataclass(frozen=True, kw_only=True)
class CrossClaim(ClaimData):
    """A claim about all models of a study together."""

    measure: Callable[[Sequence[Evidence]], Outcome]


class OpenClaim(NamedTuple):
    """A published claim for which the workflow has no experiment yet: listed without a verdict."""

    paper: str
    section: str
    text: str
    published: str
    missing: str
