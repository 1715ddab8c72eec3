"""Claims about the trait space (AA, step 6)."""

from __future__ import annotations

from typing import Final

import numpy as np

from personae.report.scorecard.claim import Claim, Finding, Outcome, Untestable
from personae.report.scorecard.evidence import Evidence
from personae.report.scorecard.expectations import Above
from personae.report.wording import count, listed, readable
from personae.science.cluster_inference import welch
from personae.science.resampling import Interval

ASSISTANT: Final = (
    "transparent", "structured", "precise", "systematic", "analytical", "even_handed",
    "evidence_based", "patient", "collaborative", "thorough",
)  # fmt: skip
"""Traits with which AA describes the Assistant's end of the axis, and their neighbours."""

PERSONAS: Final = (
    "enigmatic", "theatrical", "melodramatic", "ethereal", "rebellious", "archaic", "tormented",
    "surreal", "impulsive", "roguish",
)  # fmt: skip
"""Traits with which AA describes the other end, and their neighbours."""

_TOO_FEW = "the filter keeps fewer than 3 traits of the trait space, or a single question"


def _first_component(evidence: Evidence) -> Outcome:
    rows = evidence.read("trait_space_components")
    if rows.empty:
        return Untestable(_TOO_FEW)
    first = rows.sort_values("component").iloc[0]
    n = int(first.n_traits)
    return Finding(
        Interval(first.cosine, first.cosine_low, first.cosine_high),
        float(first.p_value),
        n,
        n,
        float(first.null_p95),
        detail=f"PC 1 explains {first.variance_ratio:.0%} of the variance between traits",
    )


def _both_ends(evidence: Evidence) -> Outcome:
    rows = evidence.read("trait_space_cosines")
    if rows.empty:
        return Untestable(_TOO_FEW)
    sides = [rows[rows.trait.isin(names)] for names in (ASSISTANT, PERSONAS)]
    if any(side.empty for side in sides):
        return Untestable("traits of both ends of the axis are needed")
    found = welch(*(side.cosine.to_numpy(dtype=np.float64) for side in sides))
    ends = [listed([readable(name) for name in side.trait]) for side in sides]
    return Finding(
        found.interval,
        found.p_greater,
        found.clusters,
        found.n,
        detail=f"{count(len(rows), 'trait')} in all; {ends[0]}, against {ends[1]}",
    )


CLAIMS = (
    Claim(
        id="trait-space-pc1-is-axis",
        paper="AA",
        section="6 Trait space",
        text="The axis is also the main direction of a space of 240 traits.",
        estimand="|cos| of the axis with the first component of trait space, middle layer",
        published="240 traits",
        unit="traits",
        null="first component of as many vectors of noise with the rollouts' covariance between "
        "questions",
        expect=Above(bound=0.0, smallest=0.5),
        min_clusters=30,
        measure=_first_component,
    ),
    Claim(
        id="assistant-traits-at-the-end",
        paper="AA",
        section="6 Trait space",
        text="Traits of a conscientious assistant point toward the Assistant, theatrical ones "
        "away.",
        estimand="Mean cosine with the axis, traits of the Assistant's end minus traits of the "
        "other end, middle layer",
        published="opposite ends",
        unit="traits, of the smaller side",
        null="traits shuffled between the ends",
        expect=Above(bound=0.0, smallest=0.1),
        min_clusters=4,
        measure=_both_ends,
    ),
)
