"""Summarise the effect of every capping arm and its cost.

Measures: ``roles_`` and ``jailbreak_role_adherence`` (0-3), ``_played`` (share fully in persona),
``_coherence`` (0-100), by judge; ``neutral_log_likelihood`` and ``closed_accuracy``. ``change`` is
capped minus uncapped (AA, evaluation of capping). ``pool`` and ``reading`` say how the floors were
calibrated; all are floors on +axis, toward the Assistant. Columns: those of ``capping_tradeoff``.
"""

from collections.abc import Sequence
from typing import Any

from personae.data import tables
from personae.data.judge_scores import read_scores
from personae.science.capping_arms import parse_arms
from personae.science.capping_tradeoff import cost_measures, score_measures, tradeoff_table


def main(
    *,
    responses: str,
    scores: str,
    costs: str,
    arms: Sequence[dict[str, Any]],
    evaluated: dict[str, str],
    path_out: str,
    max_unscored: float,
    seed: int,
    provenance: dict[str, str],
) -> None:
    """Write one row per arm, judge and measure."""
    judged = read_scores(scores, "role_adherence", max_unscored)
    measured = score_measures(tables.read(responses, "capped_responses"), judged)
    measured += cost_measures(tables.read(costs, "capping_costs"))
    table = tradeoff_table(parse_arms(arms), measured, **evaluated, seed=seed)
    tables.write(table, path_out, "capping_tradeoff", provenance)


if __name__ == "__main__":
    from personae.workflow.node import run_node

    run_node(
        snakemake,
        main,
        responses=snakemake.input.responses,
        scores=snakemake.input.scores,
        costs=snakemake.input.costs,
        arms=list(snakemake.params.arms),
        evaluated=dict(snakemake.params.evaluated),
        path_out=snakemake.output[0],
        max_unscored=snakemake.params.max_unscored,
        seed=snakemake.params.seed,
    )
