"""Rates of verdicts over simulated studies: false positives, power, coverage."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

import numpy as np

from personae.report.scorecard.claim import Claim, Finding
from personae.report.scorecard.decision import REPRODUCED, decide
from personae.report.scorecard.evidence import Criteria
from personae.report.scorecard.scoring import measured
from personae.report.scorecard.verdict_rates import VerdictRate
from personae.science.statistics import wilson
from personae.tools.verdict_calibration.simulated_evidence import SimulatedEvidence
from personae.tools.verdict_calibration.simulated_tables import ALL_TABLES, JUDGES, MIDDLE, Frames
from personae.workflow.claim_sizes import Sizes

Tables = Callable[[Sizes, float, np.random.Generator], Frames]

_GOOD_JUDGE: Final = 0.9  # judges are good enough here; real ones are gated by their AUC
_CRITERIA: Final = Criteria(
    variance_threshold=0.7,
    coherence_floor=50.0,
    judge=JUDGES[0],
    second_judge=JUDGES[1],
    draws=199,
    seed=0,
)


class _Outcome(NamedTuple):
    reproduced: bool
    value: float
    low: float
    high: float


def simulate(
    sizes: Sizes, claims: Sequence[Claim], studies: int, seed: int
) -> dict[str, dict[int, list[_Outcome]]]:
    """Return the outcomes of every claim that is simulated, without (0) and with (1) effect."""
    found: dict[str, dict[int, list[_Outcome]]] = {}
    for effect in (0, 1):
        for number in range(studies):
            rng = np.random.default_rng([seed, effect, number])
            frames: Frames = {}
            for tables in ALL_TABLES:
                frames |= tables(sizes, float(effect), rng)
            evidence = SimulatedEvidence(
                "simulated", MIDDLE, sizes.roles, {}, _CRITERIA, frames=frames
            )
            for claim in claims:
                outcome = measured(claim, evidence)
                if isinstance(outcome, Finding):
                    verdict = decide(claim, outcome, _GOOD_JUDGE).verdict
                    enough = outcome.clusters >= claim.min_clusters
                    low, high = outcome.interval[1:] if enough else (math.nan, math.nan)
                    kept = _Outcome(verdict == REPRODUCED, outcome.interval.estimate, low, high)
                    found.setdefault(claim.id, {0: [], 1: []})[effect].append(kept)
    return found


def rates(sizes: Sizes, claims: Sequence[Claim], studies: int, seed: int) -> dict[str, VerdictRate]:
    """Measured rates by claim.

    Parameters
    ----------
    sizes
        Sizes of the simulated studies.
    claims
        Claims; those that read other tables than the simulated ones have no rates.
    studies
        Number of studies without and with the published effect, each.
    seed
        Of the simulation.

    Notes
    -----
    A study in which a claim cannot be measured counts as one that did not reproduce it. The value
    that intervals should cover is the mean estimate over all studies of the kind.
    """
    result = {}
    for claim_id, found in simulate(sizes, claims, studies, seed).items():
        false, true = (sum(o.reproduced for o in found[e]) for e in (0, 1))
        chance, power = wilson(false, studies), wilson(true, studies)
        result[claim_id] = VerdictRate(
            studies=studies,
            false_positive=chance.estimate,
            false_positive_high=chance.high,
            power=power.estimate,
            power_low=power.low,
            coverage=_coverage([*found[0]], [*found[1]]),
        )
    return result


def _coverage(*kinds: list[_Outcome]) -> float | None:
    """Share of intervals that hold the mean estimate of their kind; None without intervals."""
    hits = []
    for outcomes in kinds:
        truth = float(np.nanmean([o.value for o in outcomes])) if outcomes else math.nan
        hits += [o.low <= truth <= o.high for o in outcomes if not math.isnan(o.low)]
    return float(np.mean(hits)) if hits else None
