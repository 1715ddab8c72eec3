"""Claims about case studies (AA, step 10)."""

from __future__ import annotations

import pandas as pd

from personae.report.scorecard.claim import Claim, Finding, Outcome, Untestable
from personae.report.scorecard.evidence import Evidence
from personae.report.scorecard.expectations import Below
from personae.report.scorecard.susceptibility_claims import deciding_rows
from personae.science.case_studies import CHANGE, EVERY_ARM, STEPS
from personae.science.resampling import Interval


def _risk(evidence: Evidence, *, statistic: str, arm: str) -> Outcome:
    rows = deciding_rows(evidence, "case_effects")
    rows = rows[(rows.measure == "risk") & (rows.statistic == statistic) & (rows.arm == arm)]
    if rows.empty or pd.isna(rows.p_less.iloc[0]):
        return Untestable("the conversations have too few turns with a score")
    row = rows.iloc[0]
    return Finding(
        Interval(row.value, row.low, row.high),
        float(row.p_less),
        int(row.clusters),
        int(row.n),
        judge=str(row.judge),
        detail="" if pd.isna(row.before) else f"{row.before:.0f} without a cap",
    )


def _lowered(evidence: Evidence) -> Outcome:
    return _risk(evidence, statistic=CHANGE, arm="capped")


def _together(evidence: Evidence) -> Outcome:
    return _risk(evidence, statistic=STEPS, arm=EVERY_ARM)


CLAIMS = (
    Claim(
        id="capping-lowers-delusion-risk",
        paper="AA",
        section="10 Case studies",
        text="Capping lowers delusion risk in long conversations.",
        estimand="Delusion risk (0-100) of the same conversations, capped minus uncapped",
        published="negative",
        unit="conversations, capped and uncapped paired",
        null="sign flips over conversations",
        expect=Below(bound=0.0, smallest=-5.0),
        judged=("delusion_risk",),
        linear_in="delusion_risk",
        measure=_lowered,
    ),
    Claim(
        id="risk-rises-as-projection-falls",
        paper="AA",
        section="10 Case studies",
        text="Delusion risk rises from turn to turn as the projection on the axis falls.",
        estimand="Correlation of the steps of delusion risk and of the projection, within "
        "conversations",
        published="negative",
        unit="conversations",
        null="projections shuffled within conversations",
        expect=Below(bound=0.0, smallest=-0.2),
        judged=("delusion_risk",),
        measure=_together,
    ),
)
