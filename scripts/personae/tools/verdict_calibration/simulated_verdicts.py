"""Rates of verdicts over simulated studies: false positives, power, coverage."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import Final, NamedTuple

import numpy as np

from personae.report.scorecard.all_claims import CLAIMS, CROSS_CLAIMS
from personae.report.scorecard.claim import Claim, ClaimData, CrossClaim, Finding, Outcome
from personae.report.scorecard.decision import REPRODUCED, decide
from personae.report.scorecard.evidence import Criteria
from personae.report.scorecard.scoring import measured, measured_across, registry_digest
from personae.report.scorecard.verdict_rates import VerdictRate
from personae.science.resampling import Interval
from personae.science.statistics import wilson
from personae.tools.verdict_calibration.simulated_axis import (
    ROLE_ROLLOUTS,
    axis_tables,
    edge_tables,
    fixed_role_tables,
    theatrical_tables,
)
from personae.tools.verdict_calibration.simulated_capping import (
    capping_tables,
    cost_tables,
    floor_tables,
)
from personae.tools.verdict_calibration.simulated_drift import drift_tables, prediction_tables
from personae.tools.verdict_calibration.simulated_evidence import SimulatedEvidence
from personae.tools.verdict_calibration.simulated_grids import JUDGES, MIDDLE, Frames
from personae.tools.verdict_calibration.simulated_spaces import (
    other_model_tables,
    trait_space_tables,
)
from personae.tools.verdict_calibration.simulated_speech import (
    case_tables,
    harm_link_tables,
    harm_tables,
    speaker_tables,
)
from personae.tools.verdict_calibration.simulated_steering import (
    comparison_tables,
    steering_tables,
    sweep_tables,
)
from personae.tools.verdict_calibration.simulated_training import (
    defence_tables,
    screening_tables,
    shift_tables,
)
from personae.tools.verdict_calibration.simulated_traits import (
    agreement_tables,
    contrast_tables,
    geometry_tables,
    monitoring_tables,
    reading_tables,
)
from personae.workflow.claim_sizes import Sizes

Tables = Callable[[Sizes, float, np.random.Generator], Frames]

ARMS: Final[dict[str, tuple[Tables, ...]]] = {
    "axis": (axis_tables,),
    "questions": (fixed_role_tables,),
    "theatrical": (theatrical_tables,),
    "edge": (edge_tables,),
    "trait space": (trait_space_tables,),
    "steering": (steering_tables,),
    "sweep": (sweep_tables,),
    "comparison": (comparison_tables,),
    "contrast": (contrast_tables,),
    "geometry": (geometry_tables,),
    "judge": (agreement_tables,),
    "reading": (reading_tables,),
    "monitoring": (monitoring_tables,),
    "capping": (capping_tables, floor_tables),
    "costs": (cost_tables,),
    "drift": (drift_tables, prediction_tables),
    "speech": (speaker_tables, harm_tables, case_tables, harm_link_tables),
    "training": (shift_tables, defence_tables, screening_tables),
}
"""Tables that are simulated together. Each arm is evidence of its own, so that the same table may
be drawn in several ways, one per claim."""

_ALONE: Final = {
    "questions": ("axis-split-half", "axis-separates-held-out"),
    "theatrical": ("theatrical-traits-point-away",),
    "edge": ("default-at-the-edge",),
    "costs": ("capping-keeps-accuracy", "capping-keeps-likelihood", "capping-keeps-exact-answers"),
}
"""Arms whose tables are made for a few claims, which no other arm is asked about."""

_GOOD_JUDGE: Final = 0.9  # judges are good enough here; real ones are gated by their AUC
_CRITERIA: Final = Criteria(
    variance_threshold=0.7,
    coherence_floor=50.0,
    judge=JUDGES[0],
    second_judge=JUDGES[1],
    draws=99,
    seed=0,
    role_rollouts=ROLE_ROLLOUTS,
)


class Simulated(NamedTuple):
    """Verdict and interval of one claim in one simulated study."""

    reproduced: bool
    value: float
    low: float
    high: float


Found = dict[str, dict[int, list[Simulated]]]


def simulate(
    sizes: Sizes,
    claims: Sequence[Claim],
    cross: Sequence[CrossClaim],
    studies: range,
    seed: int,
    arms: Sequence[str] = tuple(ARMS),
) -> Found:
    """Return the outcomes of every claim that is simulated, without (0) and with (1) effect."""
    found: Found = {}
    for effect in (0, 1):
        for number in studies:
            for place, (arm, makers) in enumerate(ARMS.items()):
                if arm not in arms:
                    continue
                rng = np.random.default_rng([seed, effect, number, place])
                own = [claim for claim in claims if _decides(arm, claim.id)]
                _study(sizes, effect, makers, rng, (own, cross if arm == "axis" else ()), found)
    return found


def _decides(arm: str, claim: str) -> bool:
    return claim in _ALONE[arm] if arm in _ALONE else not any(claim in c for c in _ALONE.values())


def _study(
    sizes: Sizes,
    effect: int,
    makers: Sequence[Tables],
    rng: np.random.Generator,
    claims: tuple[Sequence[Claim], Sequence[CrossClaim]],
    found: Found,
) -> None:
    """Add the outcomes of one arm of one study."""
    frames: Frames = {}
    for tables in makers:
        frames |= tables(sizes, float(effect), rng)
    evidence = _evidence("simulated", sizes, frames)
    for claim in claims[0]:
        _add(found, effect, claim, measured(claim, evidence))
    if claims[1]:
        frames = other_model_tables(sizes, float(effect), frames, rng)
        other = _evidence("other", sizes, frames, base="simulated")
        for across in claims[1]:
            _add(found, effect, across, measured_across(across, [evidence, other]))


def _evidence(model: str, sizes: Sizes, frames: Frames, base: str = "") -> SimulatedEvidence:
    return SimulatedEvidence(model, MIDDLE, sizes.roles, {}, _CRITERIA, base=base, frames=frames)


def _add(found: Found, effect: int, claim: ClaimData, outcome: Outcome) -> None:
    if claim.kind == "check" or not isinstance(outcome, Finding):
        return
    verdict = decide(claim, outcome, _GOOD_JUDGE).verdict
    enough = outcome.clusters >= claim.min_clusters
    low, high = outcome.interval[1:] if enough else (math.nan, math.nan)
    kept = Simulated(verdict == REPRODUCED, outcome.interval.estimate, low, high)
    found.setdefault(claim.id, {0: [], 1: []})[effect].append(kept)


def rates(
    sizes: Sizes,
    studies: int,
    seed: int,
    *,
    processes: int = 1,
    claims: Sequence[Claim] = CLAIMS,
    cross: Sequence[CrossClaim] = CROSS_CLAIMS,
    arms: Sequence[str] = tuple(ARMS),
) -> dict[str, VerdictRate]:
    """Measured rates by claim.

    Parameters
    ----------
    sizes
        Sizes of the simulated studies.
    studies
        Number of studies without and with the published effect, each.
    seed
        Of the simulation; the result does not depend on the number of processes.
    processes
        Processes among which the studies are divided.
    claims, cross
        Claims about one model and about all; those that read other tables than the simulated ones
        have no rates.
    arms
        Keys of `ARMS` to simulate; the rates of their claims do not depend on the others.

    Notes
    -----
    A study in which a claim cannot be measured counts as one that did not reproduce it. Coverage is
    that of the intervals in studies with the effect, of their mean estimate: without an effect some
    claims draw a meaningless direction or condition anew in every study, and have no common value.
    """
    parts = [range(start, studies, processes) for start in range(processes)]
    arguments = [(sizes, claims, cross, part, seed, arms) for part in parts]
    if processes == 1:
        made = [simulate(*arguments[0])]
    else:
        with ProcessPoolExecutor(processes) as pool:
            made = list(pool.map(simulate, *zip(*arguments, strict=True)))
    of_claim = {claim.id: claim for claim in (*claims, *cross)}
    names = dict.fromkeys(name for part in made for name in part)
    return {
        name: _rate(
            of_claim[name],
            {e: [o for part in made for o in part.get(name, {0: [], 1: []})[e]] for e in (0, 1)},
            studies,
        )
        for name in names
    }


def _rate(claim: ClaimData, found: dict[int, list[Simulated]], studies: int) -> VerdictRate:
    false, true = (sum(o.reproduced for o in found[e]) for e in (0, 1))
    chance, power = wilson(false, studies), wilson(true, studies)
    covered = coverage(found[1])
    return VerdictRate(
        studies=studies,
        false_positive=chance.estimate,
        false_positive_high=chance.high,
        power=power.estimate,
        power_low=power.low,
        coverage=None if covered is None else covered.estimate,
        coverage_low=None if covered is None else covered.low,
        coverage_high=None if covered is None else covered.high,
        claim=registry_digest([claim]),
    )


def coverage(outcomes: Sequence[Simulated]) -> Interval | None:
    """Share of intervals that hold the mean estimate, with Wilson bounds; None without any."""
    given = [o for o in outcomes if not (math.isnan(o.low) or math.isnan(o.high))]
    if not given:
        return None
    truth = float(np.mean([o.value for o in given]))
    return wilson(sum(o.low - 1e-9 <= truth <= o.high + 1e-9 for o in given), len(given))
