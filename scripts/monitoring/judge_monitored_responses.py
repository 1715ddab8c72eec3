"""Judge the responses of one trait under prompts of graded strength.

Trait score and coherence, both 0-100, by the primary judge and the second opinion; an unscored
response keeps its raw text and its reason and gets no number (PV, judge). Columns: ``scores``.
"""

from collections.abc import Mapping
from typing import Any

from personae.data import tables
from personae.inference.client import EngineClient
from personae.judging.judge_types import coherence_rubric, trait_rubric
from personae.judging.score_responses import items_of, judge_table, load_panel


def main(
    *,
    responses: str,
    calibration: str,
    trait: Mapping[str, str],
    judging: Mapping[str, Any],
    labelled: str,
    path_out: str,
    config: Mapping[str, Any],
    engine: EngineClient | None,
    provenance: dict[str, str],
) -> None:
    """Write one row per response, rubric and judge."""
    panel = load_panel(judging, engine, labelled, tables.read(calibration, "calibration"), config)
    items = items_of(tables.read(responses, "monitored_responses"))
    rubric = trait_rubric(trait)
    scores = judge_table(panel, [([rubric, coherence_rubric()], items)])
    tables.write(scores, path_out, "scores", provenance)


if __name__ == "__main__":
    from personae.workflow.node import run_judge_node

    run_judge_node(
        snakemake,
        main,
        responses=snakemake.input.responses,
        calibration=snakemake.input.calibration,
        trait=snakemake.params.trait,
        judging=snakemake.params.judging,
        labelled=snakemake.params.labelled,
        config=snakemake.config,
        path_out=snakemake.output[0],
    )
