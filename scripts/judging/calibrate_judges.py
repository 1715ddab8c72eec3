"""Calibrate the offline judges on the labelled set, and measure every judge against it.

Raw scores are mapped to the papers' scales; agreement is measured on questions that the mapping was
not fitted on. Tables: ``calibration``, ``labelled_scores``, ``agreement``, ``confusion`` (against
the labels, and of every two judges), ``judge_pairs`` (agreement of every two judges) and
``judge_bias`` (length, order, style).
"""

from collections.abc import Mapping
from typing import Any

from personae.data import tables
from personae.endpoints.runtime import Runtime
from personae.inference.client import EngineClient
from personae.judging.agreement import agreement_rows, confusion_rows
from personae.judging.judge_bias import bias_rows
from personae.judging.judge_factory import JudgingRecord, make_panel
from personae.judging.judge_pairs import (
    Pairs,
    add_pairs,
    labelled_opinions,
    pair_confusion_rows,
    pair_rows,
)
from personae.judging.labelled_set import labelled_items
from personae.judging.labelled_set_scores import measure_panel
from personae.personas.library import Labelled


def main(
    *,
    judging: Mapping[str, Any],
    labelled: Mapping[str, Any],
    traits: Mapping[str, Mapping[str, str]],
    roles: Mapping[str, Mapping[str, Any]],
    seed: int,
    paths_out: Mapping[str, str],
    config: Mapping[str, Any],
    engine: EngineClient | None,
    provenance: dict[str, str],
) -> None:
    """Write the six tables."""
    answers = Labelled.model_validate(labelled)
    record = JudgingRecord.model_validate(judging)
    items = [i for i in labelled_items(answers, traits, roles) if i.rubric.kind in record.kinds]
    panel = make_panel(record, engine, answers, None, Runtime.of(config))
    measured = measure_panel(panel, items, bias_checks=record.bias_checks)
    scored = measured.scored
    pairs: Pairs = {}
    add_pairs(labelled_opinions(scored), pairs)
    rows = {
        "labelled_scores": scored,
        "agreement": agreement_rows(scored, seed),
        "confusion": confusion_rows(scored) + pair_confusion_rows(pairs),
        "judge_pairs": pair_rows(pairs, seed),
        "judge_bias": bias_rows(scored, measured.reordered, measured.across, seed),
    }
    results = {name: tables.from_rows(records, name) for name, records in rows.items()}
    results["calibration"] = measured.calibration.to_table()
    for name, table in results.items():
        tables.write(table, paths_out[name], name, provenance)


if __name__ == "__main__":
    from personae.workflow.node import run_judge_node

    run_judge_node(
        snakemake,
        main,
        judging=snakemake.params.judging,
        labelled=snakemake.params.labelled,
        traits=snakemake.params.traits,
        roles=snakemake.params.roles,
        seed=snakemake.params.seed,
        paths_out={
            "calibration": snakemake.output.calibration,
            "labelled_scores": snakemake.output.scores,
            "agreement": snakemake.output.agreement,
            "confusion": snakemake.output.confusion,
            "judge_pairs": snakemake.output.pairs,
            "judge_bias": snakemake.output.bias,
        },
        config=snakemake.config,
    )
