"""The effect of capping on persona adherence, and its cost in capability."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import pyarrow as pa

from personae.data import tables
from personae.data.judge_scores import scores_by_judge
from personae.science.capping_arms import UNCAPPED, CappingArm
from personae.science.resampling import DRAWS, Bootstrap, ClusteredOutcomes, bootstrap_contrast
from personae.science.statistics import summarise
from personae.science.vectors import FULLY_FROM


class ArmValues(NamedTuple):
    """Values of one measure: ``judge -> arm -> [(cluster, value)]``, NaN where unscored."""

    measure: str
    scale: tuple[float, float]
    values: dict[str, dict[str, list[tuple[str, float]]]]


def score_measures(responses: pa.Table, scores: pa.Table) -> list[ArmValues]:
    """Collect the judged measures of every arm (AA, capping evaluation).

    Parameters
    ----------
    responses
        Table ``capped_responses``.
    scores
        Table ``scores`` of the same responses, by all judges.

    Returns
    -------
    list of ArmValues
        For each suite (``roles``, ``jailbreak``): role adherence (0-3), the share of responses that
        fully play the persona (0-1) and coherence (0-100). Clusters are persona and question.
    """
    rows = responses.select(
        ["response_id", "suite", "subject", "question_id", "direction", "band", "percentile"]
    ).to_pylist()
    measured = []
    for suite in ("roles", "jailbreak"):
        members = [row for row in rows if row["suite"] == suite]
        for rubric, top in (("role_adherence", 3.0), ("coherence", 100.0)):
            values: dict[str, dict[str, list[tuple[str, float]]]] = {}
            for judge, judged in scores_by_judge(scores, rubric).items():
                by_arm = values.setdefault(judge, defaultdict(list))
                for row in members:
                    cluster = f"{row['subject']}/{row['question_id']}"
                    # A judge on a sample was not asked about every response.
                    if row["response_id"] in judged:
                        score = judged[row["response_id"]]
                        by_arm[arm_of(row).label].append((cluster, score))
            measured.append(ArmValues(f"{suite}_{rubric}", (0.0, top), values))
            if rubric == "role_adherence":
                measured.append(_played(f"{suite}_played", values))
    return measured


def _played(name: str, values: dict[str, dict[str, list[tuple[str, float]]]]) -> ArmValues:
    """Turn scores into 1 for a fully played persona and 0 otherwise; NaN stays NaN."""

    def share(score: float) -> float:
        return score if score != score else float(score >= FULLY_FROM)

    shares = {
        judge: {arm: [(c, share(v)) for c, v in pairs] for arm, pairs in arms.items()}
        for judge, arms in values.items()
    }
    return ArmValues(name, (0.0, 1.0), shares)


def cost_measures(costs: pa.Table) -> list[ArmValues]:
    """Collect the measures of capability, which need no judge (AA, capping evaluation).

    Parameters
    ----------
    costs
        Table ``capping_costs``.

    Returns
    -------
    list of ArmValues
        ``neutral_log_likelihood``: nats per token of the uncapped answers to neutral questions;
        ``closed_accuracy``: 0-1. The judge is ``""``; clusters are items.
    """
    scales = {"neutral_log_likelihood": (-100.0, 0.0), "closed_accuracy": (0.0, 1.0)}
    measured = []
    for measure, scale in scales.items():
        arms: dict[str, list[tuple[str, float]]] = defaultdict(list)
        for row in costs.to_pylist():
            if row["measure"] == measure:
                arms[arm_of(row).label].append((row["item"], row["value"]))
        measured.append(ArmValues(measure, scale, {"": arms}))
    return measured


def arm_of(row: Mapping[str, Any]) -> CappingArm:
    """Return the arm that a table's row belongs to."""
    if row["direction"] == UNCAPPED:
        return CappingArm()
    return CappingArm(row["direction"], row["band"], row["percentile"])


def tradeoff_table(
    arms: Sequence[CappingArm],
    measured: Sequence[ArmValues],
    *,
    pool: str,
    reading: str,
    seed: int,
) -> pa.Table:
    """Mean of every measure under every arm, and its change from the uncapped arm.

    Parameters
    ----------
    arms
        All arms, the uncapped one among them; one without values of a measure has no row.
    measured
        Values of every measure by judge and arm.
    pool, reading
        How the floors of the arms were calibrated; written to every row.
    seed
        Of the bootstrap over items.

    Returns
    -------
    pa.Table
        Columns of ``capping_tradeoff``. ``change`` is capped minus uncapped, items resampled
        jointly in both arms: negative is a reduction of persona adherence, or a loss of capability.

    Raises
    ------
    ValueError
        When a value lies outside its measure's scale.
    """
    plan = Bootstrap(DRAWS, seed)
    rows = []
    for measure, scale, by_judge in measured:
        for judge, by_arm in by_judge.items():
            outcomes = {label: _outcomes(pairs) for label, pairs in by_arm.items()}
            uncapped = outcomes.get(UNCAPPED, ClusteredOutcomes([], []))
            for arm in (arm for arm in arms if arm.label in outcomes):
                here = outcomes[arm.label]
                summary = summarise(here.values, here.clusters, plan, scale=scale)
                change = bootstrap_contrast(here, uncapped, plan)
                rows.append(
                    {
                        **arm.columns(),
                        "pool": pool,
                        "reading": reading,
                        "judge": judge,
                        "measure": measure,
                        "n": summary.n_scored,
                        "n_unscored": summary.n_unscored,
                        "value": summary.mean.estimate,
                        "if_lowest": summary.if_lowest,
                        "if_highest": summary.if_highest,
                        "change": change.estimate,
                        "low": change.low,
                        "high": change.high,
                    }
                )
    return tables.from_rows(rows, "capping_tradeoff")


def _outcomes(pairs: Sequence[tuple[str, float]]) -> ClusteredOutcomes:
    return ClusteredOutcomes([value for _, value in pairs], [cluster for cluster, _ in pairs])
