"""Judge how far the persona is played, with and without capping.

Role adherence 0-3 towards each role or jailbreak persona, and coherence 0-100; an unscored response
keeps its raw text and its reason and gets no number (AA, evaluation). Columns: those of ``scores``.
"""

from collections.abc import Mapping
from typing import Any

import pyarrow.compute as pc

from personae.data import tables
from personae.inference.client import EngineClient
from personae.judging.judge_types import coherence_rubric, role_rubric
from personae.judging.score_responses import items_of, judge_table, load_panel


def main(
    *,
    responses: str,
    calibration: str,
    personas: Mapping[str, Mapping[str, Any]],
    judging: Mapping[str, Any],
    labelled: str,
    path_out: str,
    config: Mapping[str, Any],
    engine: EngineClient | None,
    provenance: dict[str, str],
) -> None:
    """Write one row per response, rubric and judge."""
    panel = load_panel(judging, engine, labelled, tables.read(calibration, "calibration"), config)
    answers = tables.read(responses, "capped_responses")
    tasks = []
    for persona, record in personas.items():
        items = items_of(answers.filter(pc.equal(answers["subject"], persona)))
        rubric = role_rubric(**record)
        tasks.append(([rubric, coherence_rubric()], items))
    tables.write(judge_table(panel, tasks), path_out, "scores", provenance)


if __name__ == "__main__":
    from personae.workflow.node import judge_arguments, run_judge_node

    run_judge_node(
        snakemake, main, personas=snakemake.params.personas, **judge_arguments(snakemake)
    )
