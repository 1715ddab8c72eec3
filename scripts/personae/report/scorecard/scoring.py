"""Scoring of claims into rows of the scorecard, and the digest of what was fixed before."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final

import numpy as np

from personae.data.table_values import number_or_none
from personae.report.scorecard.claim import (
    Claim,
    ClaimData,
    CrossClaim,
    Finding,
    Outcome,
    Untestable,
)
from personae.report.scorecard.decision import INCONCLUSIVE, NOT_TESTABLE, decide, needs
from personae.report.scorecard.evidence import Evidence, NotMeasuredError
from personae.report.scorecard.expectations import Within
from personae.report.scorecard.verdict_rates import VerdictRate
from personae.report.wording import count, typeset
from personae.science.misclassification import corrected_change
from personae.science.permutations import bh_adjusted, holm_adjusted
from personae.science.resampling import Interval

ALL_MODELS: Final = "all models"
_LITTLE_POWER: Final = 0.5


def registry_digest(claims: Iterable[ClaimData]) -> str:
    """SHA-256 over the data of all claims (not of the code that measures them), as hex digits."""
    records = [
        {
            field.name: _plain(getattr(claim, field.name))
            for field in dataclasses.fields(claim)
            if field.name != "measure"
        }
        for claim in sorted(claims, key=lambda claim: claim.id)
    ]
    return hashlib.sha256(json.dumps(records, sort_keys=True).encode()).hexdigest()


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return [type(value).__name__, dataclasses.asdict(value)]
    return value


def score_claims(
    claims: Iterable[Claim],
    cross_claims: Iterable[CrossClaim],
    models: Sequence[Evidence],
    rates: Mapping[str, VerdictRate] | None = None,
    sources: dict[str, list[str]] | None = None,
) -> list[dict[str, Any]]:
    """Score every claim in every model, and each cross-model claim once.

    Parameters
    ----------
    rates
        Measured error rates of verdicts at the sizes of this study, by claim.
    sources
        Filled with the files that each claim read, sorted.

    Returns
    -------
    list of dict
        Rows of the ``scorecard`` table, in the order of the claims.
    """
    known = rates or {}
    rows = []
    for claim in claims:
        for evidence in models:
            with _recorded(claim, [evidence], sources):
                row = _row(claim, evidence.model, measured(claim, evidence), [evidence])
            rows.append(_with_rate(row, claim, known))
    for cross in cross_claims:
        with _recorded(cross, models, sources):
            row = _row(cross, ALL_MODELS, measured_across(cross, models), models)
        rows.append(_with_rate(row, cross, known))
    return adjusted(rows)


@contextmanager
def _recorded(
    claim: ClaimData, models: Sequence[Evidence], sources: dict[str, list[str]] | None
) -> Iterator[None]:
    """Add the files that the block reads of ``models`` to those of a claim."""
    for evidence in models:
        evidence.seen.clear()
    yield
    if sources is not None:
        read = {path for evidence in models for path in evidence.seen}
        sources[claim.id] = sorted(read.union(sources.get(claim.id, ())))


def _with_rate(
    row: dict[str, Any], claim: ClaimData, rates: Mapping[str, VerdictRate]
) -> dict[str, Any]:
    """Add the measured rates; an open verdict says so where the sizes could hardly decide."""
    rate = _rate(claim, rates)
    power = rate["power"]
    if row["verdict"] == INCONCLUSIVE and power is not None and power < _LITTLE_POWER:
        row["reason"] += (
            f"; at these sizes {power:.0%} of simulated studies with the published effect "
            "reproduce it"
        )
    return row | rate


def _rate(claim: ClaimData, rates: Mapping[str, VerdictRate]) -> dict[str, float | None]:
    """Return the measured rates of one claim; ``None`` where it, as it is, was not simulated."""
    rate = rates.get(claim.id)
    if rate is None or rate.claim != registry_digest([claim]):
        return dict.fromkeys(("false_positive", "power", "coverage"))
    return {
        "false_positive": rate.false_positive,
        "power": rate.power,
        "coverage": rate.coverage,
    }


def adjusted(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Add p-values adjusted over all tested claims of a model: Holm's and Benjamini-Hochberg's."""
    found: dict[str, list[int]] = {}
    for i, row in enumerate(rows):
        if row["p"] is not None and row["verdict"] != NOT_TESTABLE and row["kind"] == "claim":
            found.setdefault(row["model"], []).append(i)
    extra: list[dict[str, float | None]] = [dict.fromkeys(("p_holm", "p_bh")) for _ in rows]
    for places in found.values():
        p = np.array([rows[i]["p"] for i in places])
        for i, holm, bh in zip(places, holm_adjusted(p), bh_adjusted(p), strict=True):
            extra[i] = {"p_holm": float(holm), "p_bh": float(bh)}
    return [row | more for row, more in zip(rows, extra, strict=True)]


def measured(claim: Claim, evidence: Evidence) -> Outcome:
    """Measure a claim in one model; tables that this study does not have make it untestable."""
    try:
        return claim.measure(evidence)
    except NotMeasuredError as error:
        return Untestable(str(error))


def measured_across(claim: CrossClaim, models: Sequence[Evidence]) -> Outcome:
    """Measure a claim about all models; it needs two."""
    if len(models) < 2:
        return Untestable(f"{count(len(models), 'model')} in this study; at least 2 are needed")
    try:
        return claim.measure(models)
    except NotMeasuredError as error:
        return Untestable(str(error))


def _row(
    claim: ClaimData, model: str, outcome: Outcome, models: Sequence[Evidence]
) -> dict[str, Any]:
    """Return the row of the ``scorecard`` table of one claim in one model."""
    auc_low, corrected = _judge_auc_low(claim, outcome, models), _corrected(claim, outcome, models)
    verdict = decide(claim, outcome, auc_low, corrected)
    reproduced, not_reproduced = needs(claim)
    return {
        "claim": claim.id,
        "kind": claim.kind,
        "paper": claim.paper,
        "section": claim.section,
        "text": claim.text,
        "estimand": claim.estimand,
        "unit": claim.unit,
        "null_rule": claim.null,
        "published": claim.published,
        "direction": claim.expect.direction,
        **_limits(claim),
        "min_clusters": claim.min_clusters,
        "alpha": claim.alpha,
        "reproduced_if": reproduced,
        "not_reproduced_if": not_reproduced,
        "model": model,
        "judge_auc_low": auc_low,
        **_numbers(claim, outcome),
        **_corrected_columns(claim, outcome, corrected),
        "verdict": verdict.verdict,
        "reason": verdict.reason,
        "detail": "" if isinstance(outcome, Untestable) else typeset(outcome.detail),
    }


def _limits(claim: ClaimData) -> dict[str, float | None]:
    """Bound and smallest size; of a range its ends, as ``bound`` and ``upper``."""
    if isinstance(claim.expect, Within):
        return {"bound": claim.expect.low, "smallest": None, "upper": claim.expect.high}
    return {"bound": claim.expect.bound, "smallest": claim.expect.smallest, "upper": None}


def _numbers(claim: ClaimData, outcome: Outcome) -> dict[str, Any]:
    """Return the measured columns; below the minimum of units there is no interval."""
    if isinstance(outcome, Untestable):
        empty = dict.fromkeys(("value", "low", "high", "null", "p"))
        return {**empty, "judge": "", "n": 0, "clusters": 0}
    enough = outcome.clusters >= claim.min_clusters or claim.kind == "check"
    return {
        "value": number_or_none(outcome.interval.estimate),
        "low": number_or_none(outcome.interval.low) if enough else None,
        "high": number_or_none(outcome.interval.high) if enough else None,
        "null": number_or_none(outcome.null),
        "p": number_or_none(outcome.p),
        "judge": outcome.judge,
        "n": outcome.n,
        "clusters": outcome.clusters,
    }


def _corrected(claim: ClaimData, outcome: Outcome, models: Sequence[Evidence]) -> Interval | None:
    """Correct a change of judged means for the judge's slope; ``None`` where none applies."""
    if not claim.linear_in or not isinstance(outcome, Finding) or not outcome.judge:
        return None
    slope = models[0].judge_slope(outcome.judge, claim.linear_in)
    return None if math.isnan(slope.estimate) else corrected_change(outcome.interval, slope)


def _corrected_columns(
    claim: ClaimData, outcome: Outcome, corrected: Interval | None
) -> dict[str, float | None]:
    names = ("corrected", "corrected_low", "corrected_high")
    if corrected is None or isinstance(outcome, Untestable):
        return dict.fromkeys(names)
    values = (
        corrected if outcome.clusters >= claim.min_clusters else (corrected.estimate, None, None)
    )
    return {
        name: None if value is None else number_or_none(value)
        for name, value in zip(names, values, strict=True)
    }


def _judge_auc_low(claim: ClaimData, outcome: Outcome, models: Sequence[Evidence]) -> float | None:
    """Lowest bound of the judge's AUC over the claim's rubrics and the models."""
    if not claim.judged or not isinstance(outcome, Finding) or not outcome.judge:
        return None
    bounds = [
        evidence.judge_auc_low(outcome.judge, rubric)
        for evidence in models
        for rubric in claim.judged
    ]
    return None if any(math.isnan(bound) for bound in bounds) else min(bounds)
