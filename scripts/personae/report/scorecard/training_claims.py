"""Claims about fine-tuning and data screening (PV, steps 9 and 10)."""

from __future__ import annotations

import math

import pandas as pd

from personae.report.scorecard.claim import Claim, Finding, Outcome, Untestable
from personae.report.scorecard.evidence import Evidence
from personae.report.scorecard.expectations import Above, Below
from personae.report.wording import readable
from personae.science.resampling import Interval
from personae.science.training_defences import COHERENCE, TRAIT


def _shift(evidence: Evidence) -> Outcome:
    rows = evidence.read("finetuning_correlations").set_index("pairs")
    if "all" not in rows.index or pd.isna(rows.loc["all", "r"]):
        return Untestable("no correlation is defined: shifts or scores do not vary")
    row = rows.loc["all"]
    own = rows.r.get("own trait", math.nan)
    return Finding(
        Interval(row.r, _number(row.low), _number(row.high)),
        None if pd.isna(row.p_value) else float(row.p_value),
        int(row.n_adapters),
        int(row.n),
        null=None if pd.isna(row.shuffled_p95) else float(row.shuffled_p95),
        judge=evidence.criteria.judge,
        detail="" if pd.isna(own) else f"trait of the training data alone: r = {own:.2f}",
    )


def _number(value: float | None) -> float:
    return math.nan if value is None else float(value)


def _defence(evidence: Evidence, measure: str, *, worst: str) -> Outcome:
    rows = evidence.read("finetuning_defences")
    rows = rows[(rows.arm == "preventative") & (rows.measure == measure) & rows.difference.notna()]
    if measure != TRAIT:
        rows = rows[rows.in_reach.astype(bool)]
        if rows.empty:
            return Untestable("no coefficient tried reaches the trait score of preventative arms")
    if rows.empty:
        return Untestable("no adapter was trained with preventative steering")
    row = rows.loc[getattr(rows.difference.astype(float), worst)()]
    return Finding(
        Interval(row.difference, _number(row.difference_low), _number(row.difference_high)),
        None,
        int(row.n),
        int(rows.n.sum()),
        judge=evidence.criteria.judge,
        detail=", ".join(f"{readable(r.trained)} {r.difference:.1f}" for r in rows.itertuples()),
    )


def _prevents(evidence: Evidence) -> Outcome:
    return _defence(evidence, TRAIT, worst="idxmax")


def _costs_less(evidence: Evidence) -> Outcome:
    return _defence(evidence, COHERENCE, worst="idxmin")


def _screens(evidence: Evidence) -> Outcome:
    rows = evidence.read("screening")
    rows = rows[(rows.trait == rows.trained) & rows.auc.notna()]
    if rows.empty:
        return Untestable("normal rows and rows with the trait of one trait are needed")
    row = rows.loc[rows.auc.astype(float).idxmin()]
    return Finding(
        Interval(row.auc, _number(row.auc_low), _number(row.auc_high)),
        None,
        int(row.n),
        int(rows.n.sum()),
        detail=", ".join(f"{readable(r.dataset)} {r.auc:.2f}" for r in rows.itertuples()),
    )


CLAIMS = (
    Claim(
        id="finetuning-shift-predicts-trait",
        paper="PV",
        section="9 Fine-tuning",
        text="The shift along a trait vector predicts the effect of fine-tuning on the trait.",
        estimand="Correlation of shift and change of the trait score over adapters and traits",
        published="r = 0.76 to 0.97",
        published_size=0.86,
        unit="adapters",
        null="changes exchanged between adapters; shuffled vectors",
        expect=Above(bound=0.0, smallest=0.5),
        judged=("trait",),
        measure=_shift,
    ),
    Claim(
        id="preventative-steering-prevents",
        paper="PV",
        section="9 Fine-tuning",
        text="Steering during training prevents a trait from being learned.",
        estimand="Largest difference over traits of the trait score with and without it, in points",
        published="negative",
        unit="questions",
        null="none: the interval is the test",
        expect=Below(bound=0.0, smallest=0.0),
        judged=("trait",),
        linear_in="trait",
        measure=_prevents,
    ),
    Claim(
        id="preventative-steering-costs-less",
        paper="PV",
        section="9 Fine-tuning",
        text="At the same trait score it costs less coherence than steering after training.",
        estimand="Smallest difference over traits of the coherence, in points",
        published="positive",
        unit="questions",
        null="none: the interval is the test",
        expect=Above(bound=0.0, smallest=0.0),
        judged=("trait", "coherence"),
        linear_in="coherence",
        measure=_costs_less,
    ),
    Claim(
        id="projection-difference-screens",
        paper="PV",
        section="10 Data screening",
        text="Projection differences tell training data with a trait from normal data.",
        estimand="Lowest AUC over data sets of rows with the trait against normal rows",
        published="separates them",
        unit="prompts",
        null="none: the interval is held against 0.7",
        expect=Above(bound=0.7, smallest=0.7),
        min_clusters=20,
        measure=_screens,
    ),
)
