"""Measure the cost of capping on harmless prompts.

Per arm: the log-likelihood per token of the default Assistant's own uncapped answers to held-out
questions, and whether the right choice of closed questions stays the most likely one (AA,
capabilities under capping). Columns: those of ``capping_costs``.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from personae.data import tables
from personae.inference.client import EngineClient
from personae.rollouts.capping_cost import closed_rows, closed_values, neutral_rows, neutral_values
from personae.science.capping_arms import parse_arms, read_caps


def main(
    *,
    directions: str,
    floors: str,
    neutral: str,
    arms: Sequence[dict[str, Any]],
    settings: Mapping[str, Any],
    closed: Sequence[dict[str, Any]],
    neutral_questions: int,
    path_out: str,
    engine: EngineClient,
    provenance: dict[str, str],
) -> None:
    """Write one row per arm, measure and item."""
    capped, vectors = read_caps(parse_arms(arms), directions, floors, settings)
    answers = tables.read(neutral, "role_responses")
    rows = []
    for arm, caps in capped.items():
        asked = neutral_rows(answers, caps, neutral_questions)
        rows += neutral_values(arm, asked, engine.loglikelihood(asked, vectors))
        choices = closed_rows(closed, caps)
        rows += closed_values(arm, closed, engine.loglikelihood(choices, vectors))
    tables.write(tables.from_rows(rows, "capping_costs"), path_out, "capping_costs", provenance)


if __name__ == "__main__":
    from personae.workflow.node import run_model_node

    run_model_node(
        snakemake,
        main,
        directions=snakemake.input.directions,
        floors=snakemake.input.floors,
        neutral=snakemake.input.neutral,
        arms=list(snakemake.params.arms),
        settings=dict(snakemake.params.settings),
        closed=list(snakemake.params.closed),
        neutral_questions=snakemake.params.neutral_questions,
        path_out=snakemake.output[0],
    )
