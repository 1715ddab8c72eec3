"""Claims about predicting the trait score from the last prompt token (PV, step 8)."""

from __future__ import annotations

import numpy as np
import pandas as pd

from personae.data.table_values import MANY_SHOT, SYSTEM_PROMPT
from personae.report.scorecard.claim import Claim, ClaimOutcome, MeasuredClaim, Untestable
from personae.report.scorecard.evidence import Evidence
from personae.report.wording import readable
from personae.science.monitoring import ALL
from personae.science.resampling import Interval


def _at_chosen(evidence: Evidence, kind: str) -> pd.DataFrame:
    """Correlations of one kind of condition at each trait's chosen layer, by trait."""
    rows = evidence.read("monitoring")
    return rows[rows.chosen & (rows.kind == kind)].set_index("trait").sort_index()


def _weakest(rows: pd.DataFrame, name: str) -> Interval:
    """Return the lowest correlation of any trait with its interval."""
    worst = rows.loc[rows[name].idxmin()]
    return Interval(worst[name], worst[f"{name}_low"], worst[f"{name}_high"])


def _by_trait(rows: pd.DataFrame, name: str) -> str:
    return ", ".join(f"{readable(str(trait))} {r:.2f}" for trait, r in rows[name].items())


def _measure(evidence: Evidence, kind: str, name: str, least: float) -> ClaimOutcome:
    rows = _at_chosen(evidence, kind)
    if rows.empty or rows[name].isna().all():
        return Untestable("no correlation is defined: projections or scores do not vary")
    rows = rows[rows[name].notna()]
    found = _weakest(rows, name)
    met = bool(found.estimate >= least and np.nan_to_num(found.low, nan=-1.0) > 0)
    detail = _by_trait(rows, name)
    return MeasuredClaim(found, met, int(rows.n.sum()), 0.0, evidence.criteria.judge, detail)


def _system_prompts(evidence: Evidence) -> ClaimOutcome:
    return _measure(evidence, SYSTEM_PROMPT, "pooled", 0.5)


def _within(evidence: Evidence) -> ClaimOutcome:
    return _measure(evidence, ALL, "within", 0.0)


def _examples(evidence: Evidence) -> ClaimOutcome:
    rows = _at_chosen(evidence, MANY_SHOT)
    if rows.empty or rows.n_conditions.max() < 2:
        return Untestable("at least two different numbers of example exchanges are needed")
    return _measure(evidence, MANY_SHOT, "pooled", 0.5)


CLAIMS = (
    Claim(
        paper="PV",
        section="8 Monitoring",
        text="The projection of the last prompt token predicts the trait score of the response.",
        statistic="Lowest correlation over traits between projection and trait score, system "
        "prompts",
        published="0.75 to 0.83",
        criterion="at least 0.5 for every trait, the lowest with its interval above 0",
        measure=_system_prompts,
    ),
    Claim(
        paper="PV",
        section="8 Monitoring",
        text="It does so when examples instead of instructions elicit the trait.",
        statistic="Lowest correlation over traits, numbers of example exchanges",
        published="0.75 to 0.83",
        criterion="at least 0.5 for every trait, the lowest with its interval above 0",
        measure=_examples,
    ),
    Claim(
        paper="PV",
        section="8 Monitoring",
        text="It also does so within a single prompt.",
        statistic="Lowest correlation over traits within conditions",
        published="lower than the pooled one",
        criterion="the interval of the lowest is above 0",
        measure=_within,
    ),
)
