"""Analyse persona space: PCA of the role vectors, and the Assistant Axis against its components.

The PCA is over the role vectors of both kinds, "fully" and "somewhat", as separate rows; the axis
is made of the fully-role vectors alone (AA, persona space). Per layer, centred and z-scored:
variance shares, participation ratio, components for the wanted share of variance, outlier
dimensions, |cos(axis, PC1)| with intervals over roles and (middle layer) over questions, its null
from shuffled default/role labels, and the share of roles that would do as well in the default's
place. Components are signed toward the axis. Tables: ``space_layers``, ``space_components``,
``space_coordinates``, ``cosines``, ``role_loadings``.
"""

from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from personae.data import tables
from personae.data.table_values import DEFAULT
from personae.science.alignment_nulls import label_shuffles
from personae.science.axis_reliability import axis_reliability
from personae.science.kept_rollouts import load_sample
from personae.science.persona_space import FULLY, load_space
from personae.science.question_spread import load_question_sums
from personae.science.reliability import reliability_columns
from personae.science.space_layers import LayerNull, SpaceSettings, layer_table

_MOST_BYTES = 2**29  # of sampled rollouts in memory at a time, whatever the size of the study


def main(
    *,
    role_vectors: str,
    directions: str,
    sums: Mapping[str, str],
    kept: Mapping[str, str],
    paths_out: Mapping[str, str],
    axis: Mapping[str, Any],
    middle_layer: int,
    seed: int,
    provenance: dict[str, str],
) -> None:
    """Write the tables; cosines and loadings are those of the middle layer.

    ``sums`` and ``kept`` map every role, the default among them, to its ``activation_sums`` and its
    ``kept_activations``.
    """
    settings = SpaceSettings(axis["variance_threshold"], axis["permutations"], seed)
    names = tables.read(role_vectors, "role_vectors", ["role", "kind"]).to_pylist()
    fully = {row["role"] for row in names if row["kind"] == FULLY} | {DEFAULT}
    in_axis = {role: path for role, path in kept.items() if role in fully}
    sums_of_axis = {role: path for role, path in sums.items() if role in fully}
    reliability = reliability_columns(
        axis_reliability(sums_of_axis, splits=settings.permutations, seed=seed)
    )
    layers = np.unique(tables.read(directions, "directions", ["layer"])["layer"].to_numpy())
    parts: dict[str, list[pa.Table]] = {name: [] for name in paths_out}
    for place, (layer, null) in enumerate(_nulls(layers.tolist(), in_axis, settings)):
        space = load_space(role_vectors, directions, layer)
        is_middle = layer == middle_layer
        halves = {name: values[place : place + 1] for name, values in reliability.items()}
        folder = Path(paths_out["space_layers"]).parent
        with (
            load_question_sums(kept, space.rows, layer, folder) if is_middle else nullcontext()
        ) as question_sums:
            found = layer_table(space, halves, null, question_sums, settings)
        parts["space_layers"].append(found)
        parts["space_components"].append(space.component_table())
        parts["space_coordinates"].append(space.coordinate_table())
        if is_middle:
            parts["cosines"].append(space.cosine_table(layer))
            parts["role_loadings"].append(space.loading_table(layer))
    for name, tables_of_layers in parts.items():
        table = tables.assemble(tables_of_layers, name)
        tables.write(table, paths_out[name], name, provenance)


def _nulls(
    layers: list[int], kept: Mapping[str, str], settings: SpaceSettings
) -> Iterator[tuple[int, LayerNull]]:
    """Yield the sampled rollouts of every layer, with the same shuffles of their labels."""
    shuffles: Any = None
    size = 1  # one layer is read to learn its bytes
    while layers:
        block, layers = layers[:size], layers[size:]
        rollouts = load_sample(kept, block)
        if shuffles is None:
            shuffles = label_shuffles(
                rollouts.weights, settings.permutations, settings.seed, rollouts.questions
            )
            size = max(1, _MOST_BYTES // rollouts.activations.nbytes)
        for place, layer in enumerate(block):
            here = rollouts.at(place)
            yield layer, LayerNull(here.activations, shuffles, here.subjects, here.questions)


if __name__ == "__main__":
    from personae.workflow.node import run_node

    run_node(
        snakemake,
        main,
        role_vectors=snakemake.input.role_vectors,
        directions=snakemake.input.directions,
        sums=dict(zip(snakemake.params.roles, snakemake.input.sums, strict=True)),
        kept=dict(zip(snakemake.params.roles, snakemake.input.kept, strict=True)),
        paths_out={
            "space_layers": snakemake.output.layers,
            "space_components": snakemake.output.components,
            "space_coordinates": snakemake.output.coordinates,
            "cosines": snakemake.output.cosines,
            "role_loadings": snakemake.output.loadings,
        },
        axis=snakemake.params.axis,
        middle_layer=snakemake.params.middle_layer,
        seed=snakemake.params.seed,
    )
