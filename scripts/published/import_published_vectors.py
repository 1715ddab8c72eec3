"""Read published vectors and capping configurations, and compare them with the study's own.

The study states orientation and layers of the files; in the tables an axis points toward
the Assistant, a trait vector toward its trait, and layer ``l`` is the stream after block ``l``.
Tables: ``directions``, ``role_vectors``, ``trait_vectors`` and ``floors`` as in the rest of the
workflow, and ``published_cosines`` with one row per vector and layer that the study also has.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow.compute as pc

from personae.data import tables
from personae.data.model_table import ModelRow
from personae.data.vector_stacks import stack
from personae.personas.published.capping_files import PublishedCap, read_caps
from personae.personas.published.own_tables import (
    Own,
    comparison,
    direction_table,
    floor_table,
    role_table,
    trait_table,
)
from personae.personas.published.published_source import PublishedSource
from personae.personas.published.vector_files import VectorFamily, read_families


def main(
    *,
    sources: Sequence[Mapping[str, Any]],
    model: Mapping[str, Any],
    own_directions: str,
    own_role_vectors: str,
    own_trait_vectors: Sequence[str],
    paths_out: Mapping[str, str],
    provenance: dict[str, str],
) -> None:
    """Write the five tables; those of kinds that no source has are without rows."""
    families, caps = _read(sources, ModelRow(**model))
    own = _own(own_directions, own_role_vectors, own_trait_vectors)
    cosines = [line for kind, found in families.items() for line in comparison(kind, found, own)]
    results = {
        "directions": direction_table(families["axis"], caps),
        "role_vectors": role_table(families["role"]),
        "trait_vectors": trait_table(families["trait"]),
        "floors": floor_table(caps),
        "published_cosines": tables.from_rows(cosines, "published_cosines"),
    }
    for name, table in results.items():
        tables.write(table, paths_out[name], name, provenance)


def _read(
    sources: Sequence[Mapping[str, Any]], model: ModelRow
) -> tuple[dict[str, list[VectorFamily]], list[PublishedCap]]:
    families: dict[str, list[VectorFamily]] = {"axis": [], "role": [], "trait": []}
    caps: list[PublishedCap] = []
    for each in sources:
        source = PublishedSource(**each)
        if source.kind == "capping":
            caps += read_caps(source, model, Path())
        else:
            families[source.kind] += read_families(source, model, Path())
    return families, caps


def _own(directions: str, role_vectors: str, trait_vectors: Sequence[str]) -> Own:
    axes = stack(tables.read(directions, "directions"), "direction")
    found = {("axis", "axis"): axes.select(["axis"]).vectors[0]}
    roles = tables.read(role_vectors, "role_vectors")
    for kind in ("fully", "default"):
        held = stack(roles.filter(pc.equal(roles["kind"], kind)), "role")
        found |= {("role", name): held.vectors[i] for i, name in enumerate(held.keys)}
    for path in trait_vectors:
        table = tables.read(path, "trait_vectors")
        held = stack(table.filter(pc.equal(table["variant"], "response_mean")), "trait")
        found |= {("trait", name): held.vectors[i] for i, name in enumerate(held.keys)}
    return found


if __name__ == "__main__":
    from personae.workflow.node import run_node

    run_node(
        snakemake,
        main,
        sources=snakemake.params.sources,
        model=snakemake.params.row,
        own_directions=snakemake.input.directions,
        own_role_vectors=snakemake.input.role_vectors,
        own_trait_vectors=list(snakemake.input.trait_vectors),
        paths_out=dict(snakemake.output.items()),
    )
