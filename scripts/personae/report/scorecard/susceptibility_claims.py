"""Claims about steering along the Assistant Axis (AA, step 7)."""

from __future__ import annotations

import functools

import pandas as pd

from personae.report.scorecard.claim import Claim, Finding, Outcome, Untestable
from personae.report.scorecard.evidence import Evidence
from personae.report.scorecard.expectations import Above, Below
from personae.science.resampling import Interval
from personae.science.speaker_shares import ANY_PERSONA


def deciding_rows(evidence: Evidence, name: str) -> pd.DataFrame:
    """Rows of an input by the primary judge, or by the second where the primary does not label."""
    rows = evidence.read(name)
    judges = (evidence.criteria.judge, evidence.criteria.second_judge)
    judge = next((judge for judge in judges if judge in set(rows.judge)), None)
    return rows[rows.judge == judge]


def _personas(evidence: Evidence, *, sign: int) -> Outcome:
    """Change of the share of personas at the largest coherent strength of one sign."""
    rows = deciding_rows(evidence, "speaker_shares")
    rows = rows[(rows.direction == "axis") & (rows.label == ANY_PERSONA)]
    coherent = rows[
        (rows.strength * sign > 0) & (rows.coherence >= evidence.criteria.coherence_floor)
    ]
    if coherent.empty:
        return Untestable("no strength of that sign leaves coherent answers")
    row = coherent.loc[(coherent.strength * sign).idxmax()]
    if pd.isna(row.random_change):
        return Untestable("no random direction was steered along")
    side = "p_less" if sign > 0 else "p_greater"
    return Finding(
        Interval(row.change, row.change_low, row.change_high),
        max(float(row[side]), float(row[f"beyond_{side}"])),
        int(row.clusters),
        int(row.n),
        float(row.random_change),
        str(row.judge),
        f"layer {row.layer}, strength {row.in_persona_gaps:+.2g} persona gaps "
        f"({row.in_residual_norms:+.2g} mean residual norms), coherence {row.coherence:.0f}",
    )


_ESTIMAND = (
    "Change in the share of introspective answers in which a persona speaks, at the largest "
    "coherent strength"
)
_NULL = "sign flips of the change and of its excess over random directions, by role and by question"

CLAIMS = (
    Claim(
        id="steering-away-adopts-personas",
        paper="AA",
        section="7 Steering along the axis",
        text="Steering away from the Assistant makes a model adopt personas.",
        estimand=f"{_ESTIMAND} away from the Assistant",
        published="rises in all three models",
        unit="roles x questions",
        null=_NULL,
        expect=Above(bound=0.0, smallest=0.1),
        min_clusters=5,
        judged=("role_label",),
        linear_in="role_label",
        measure=functools.partial(_personas, sign=-1),
    ),
    Claim(
        id="steering-toward-drops-personas",
        paper="AA",
        section="7 Steering along the axis",
        text="Steering toward the Assistant makes a model drop the personas of its prompts.",
        estimand=f"{_ESTIMAND} toward the Assistant",
        published="not reported",
        unit="roles x questions",
        null=_NULL,
        expect=Below(bound=0.0, smallest=-0.1),
        min_clusters=5,
        judged=("role_label",),
        linear_in="role_label",
        measure=functools.partial(_personas, sign=1),
    ),
)
