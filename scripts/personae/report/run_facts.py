"""Counts of responses and provenance, read from the tables and their metadata."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from personae.data import tables
from personae.workflow.stages.registry import outputs

_FACTS = {
    "model": "Model",
    "revision": "Revision",
    "weights_digest": "SHA-256 of the weights",
    "dtype": "Number format",
    "device": "Device",
    "engine": "Engine",
    "seed": "Seed",
    "config_digest": "SHA-256 of the configuration",
}


class NodeFacts(NamedTuple):
    """Provenance of one table: rule, code digest, time and number of rows."""

    path: str
    rule: str
    rows: int
    code: str
    time: str


class ModelFacts(NamedTuple):
    """Provenance of one model's results: named facts, package versions, and the tables read."""

    facts: dict[str, str]
    versions: dict[str, str]
    nodes: list[NodeFacts]


def model_facts(paths: Iterable[tuple[str, str]]) -> ModelFacts:
    """Collect the provenance of tables (path, schema name); the facts are those of the first."""
    found = [(path, schema, tables.provenance(path)) for path, schema in paths]
    first = found[0][2]
    nodes = [
        NodeFacts(
            path,
            facts.get("rule", ""),
            count_rows([path], schema),
            facts.get("code_digest", "")[:12],
            facts.get("time", ""),
        )
        for path, schema, facts in found
    ]
    facts = {label: first[name] for name, label in _FACTS.items() if first.get(name)}
    return ModelFacts(facts, json.loads(first.get("versions", "{}")), nodes)


def count_rows(paths: Sequence[str], schema: str) -> int:
    """Count the rows of tables, reading one column of each."""
    return sum(tables.read(path, schema, columns=["response_id"]).num_rows for path in paths)


def rollout_counts(inputs: Mapping[str, Sequence[str]]) -> list[tuple[str, int]]:
    """Return a description and the number of responses of every arm of the study."""
    return [
        (output.counted_as, count_rows(files, output.kind))
        for _, _, output in outputs()
        if output.counted_as and (files := inputs.get(output.report))
    ]
