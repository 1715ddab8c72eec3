"""The nodes of a study that are still to run, as the tables of its results say."""

from __future__ import annotations

import json
from pathlib import Path

from personae.base.errors import PersonaeError
from personae.data import tables
from personae.workflow.code_digest import code_digest, cover_engine
from personae.workflow.config import Study
from personae.workflow.estimate.totals import all_nodes, node_key
from personae.workflow.stages.registry import STAGES


def nodes_left(study: Study, root: Path) -> set[str]:
    """Return the keys of the nodes of which no table is there that the present code made.

    Values of the configuration are not compared: a dry run of Snakemake does that, and its
    estimate is of the very nodes that it would run. Figures are told by Snakemake's
    benchmarks.
    """
    cover_engine(study.config.engine.kind)
    every = {
        node_key(stage.rule, at)
        for model in study.model_names
        for stage, at in all_nodes(study, model)
    }
    return every - _done(root / "results" / study.config.study)


def _done(results: Path) -> set[str]:
    found = set()
    for path in results.rglob("*.parquet"):
        try:
            facts = tables.provenance(path)
        except PersonaeError:
            continue
        rule = facts.get("rule", "")
        if rule in STAGES and facts.get("code_digest") == code_digest(STAGES[rule].script):
            found.add(node_key(rule, json.loads(facts["wildcards"])))
    for path in results.glob("*/benchmarks/plot_*.tsv"):
        found.add(node_key(path.stem, {"model": path.parts[-3]}))
    return found
