"""Claims about predicting the trait score from the last prompt token (PV, step 8)."""

from __future__ import annotations

import functools

import pandas as pd

from personae.data.table_values import MANY_SHOT, SYSTEM_PROMPT
from personae.report.scorecard.claim import Claim, Finding, Outcome, Untestable
from personae.report.scorecard.evidence import Evidence
from personae.report.scorecard.expectations import Above
from personae.report.wording import readable
from personae.science.monitoring import ALL
from personae.science.permutations import exchanged_p
from personae.science.resampling import lowest


def _at_chosen(evidence: Evidence, kind: str) -> pd.DataFrame:
    """Correlations of one kind of condition at each trait's chosen layer, by trait."""
    rows = evidence.read("monitoring")
    return rows[rows.chosen & (rows.kind == kind)].set_index("trait").sort_index()


def _by_trait(rows: pd.DataFrame, name: str) -> str:
    known = rows[name].astype(float).dropna()
    return ", ".join(f"{readable(str(trait))} {r:.2f}" for trait, r in known.items())


def _measure(evidence: Evidence, *, kind: str, name: str) -> Outcome:
    rows = _at_chosen(evidence, kind)
    if rows.empty or rows[name].isna().all():
        return Untestable("no correlation is defined: projections or scores do not vary")
    rows = rows[rows[name].notna()]
    points = evidence.read("monitoring_points")
    points = points[points.projection.notna() & points.score.notna()]
    if kind != ALL:
        points = points[points.kind == kind]
    by_trait = {str(trait): part for trait, part in points.groupby("trait")}
    rows = rows[rows.index.isin(list(by_trait))]
    if rows.empty:
        return Untestable("no rollout has both a projection and a score")
    p = max(_permutation_p(by_trait[str(trait)], name, evidence) for trait in rows.index)
    questions = min(by_trait[str(trait)].question_id.nunique() for trait in rows.index)
    return Finding(
        lowest(rows, name),
        p,
        min(questions, _conditions(points)),
        int(rows.n.sum()),
        judge=evidence.criteria.judge,
        detail=_by_trait(rows, name),
    )


def _conditions(points: pd.DataFrame) -> int:
    """Fewest conditions of any trait: system prompts and numbers of examples."""
    return int((points.kind + "/" + points.grade.astype(str)).groupby(points.trait).nunique().min())


def _permutation_p(points: pd.DataFrame, name: str, evidence: Evidence) -> float:
    """Exchange the scores of whole conditions, or for ``within`` those of whole questions.

    Scores of one condition share what it does to all questions, and those of one question what it
    does under all conditions: shuffling single scores would take them for independent.
    """
    condition = points.kind + "/" + points.grade.astype(str)
    cells = points.assign(condition=condition).groupby(["condition", "question_id"])
    x, y = (cells[column].mean().unstack() for column in ("projection", "score"))
    known = x.notna() & y.notna()
    x, y = x[known.all(axis=1)], y[known.all(axis=1)]
    a, b = x.to_numpy(float), y.to_numpy(float)
    if name == "within":
        a, b = ((v - v.mean(axis=1, keepdims=True)).T for v in (a, b))
    return exchanged_p(a - a.mean(), b, evidence.criteria.seed)


def _examples(evidence: Evidence) -> Outcome:
    rows = _at_chosen(evidence, MANY_SHOT)
    if rows.empty or rows.n_conditions.max() < 2:
        return Untestable("at least two different numbers of example exchanges are needed")
    return _measure(evidence, kind=MANY_SHOT, name="pooled")


def _alarm(evidence: Evidence) -> Outcome:
    rows = evidence.read("monitoring_alerts")
    rows = rows[rows.auc.notna()].set_index("trait")
    if rows.empty:
        return Untestable("no trait has responses with and without it among the questions tested")
    weakest = rows.loc[rows.auc.astype(float).idxmin()]
    points = evidence.read("monitoring_points", ["question_id"])
    rates = ", ".join(
        f"{readable(str(trait))} {row.caught:.0%} caught at {row.false_alarms:.0%} false alarms"
        for trait, row in rows.iterrows()
        if not pd.isna(row.caught) and not pd.isna(row.false_alarms)
    )
    return Finding(
        lowest(rows, "auc"),
        None,
        points.question_id.nunique() // 2,
        int(weakest.n_shown + weakest.n_other),
        judge=evidence.criteria.judge,
        detail=rates,
    )


CLAIMS = (
    Claim(
        id="last-token-predicts-trait",
        paper="PV",
        section="8 Monitoring",
        text="The projection of the last prompt token predicts the trait score of the response.",
        estimand="Lowest correlation over traits between projection and trait score, system "
        "prompts",
        published="0.75 to 0.83",
        published_size=0.79,
        unit="questions and conditions, the fewer",
        null="scores of whole conditions exchanged",
        expect=Above(bound=0.0, smallest=0.5),
        min_clusters=4,
        judged=("trait",),
        measure=functools.partial(_measure, kind=SYSTEM_PROMPT, name="pooled"),
    ),
    Claim(
        id="last-token-predicts-many-shot",
        paper="PV",
        section="8 Monitoring",
        text="It does so when examples instead of instructions elicit the trait.",
        estimand="Lowest correlation over traits, numbers of example exchanges",
        published="0.75 to 0.83",
        published_size=0.79,
        unit="questions and conditions, the fewer",
        null="scores of whole conditions exchanged",
        expect=Above(bound=0.0, smallest=0.5),
        min_clusters=4,
        judged=("trait",),
        measure=_examples,
    ),
    Claim(
        id="last-token-predicts-within",
        paper="PV",
        section="8 Monitoring",
        text="It also does so within a single prompt.",
        estimand="Lowest correlation over traits within conditions",
        published="lower than the pooled one",
        published_size=0.4,
        unit="questions and conditions, the fewer",
        null="scores of whole questions exchanged",
        expect=Above(bound=0.0, smallest=0.2),
        min_clusters=4,
        judged=("trait",),
        measure=functools.partial(_measure, kind=ALL, name="within"),
    ),
    Claim(
        id="alarm-works-on-other-questions",
        paper="PV",
        section="8 Monitoring",
        text="The last prompt token tells whether the response will show the trait.",
        estimand="Lowest AUC over traits on the questions that chose no alarm threshold",
        published="r = 0.75 to 0.83",
        unit="questions",
        null="none: the interval is held against 0.6",
        expect=Above(bound=0.6, smallest=0.6),
        judged=("trait",),
        measure=_alarm,
    ),
)
