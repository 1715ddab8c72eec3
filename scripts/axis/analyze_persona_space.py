"""Analyse persona space: PCA of the role vectors, and the Assistant Axis against its components.

The PCA is over the role vectors of both kinds, "fully" and "somewhat", as separate rows; the axis
is made of the fully-role vectors alone (AA, persona space). Per layer, centred and z-scored:
variance shares, participation ratio, components for the wanted share of variance, outlier
dimensions, |cos(axis, PC1)| with intervals over roles and (middle layer) over questions, its null
from shuffled default/role labels, and the share of roles that would do as well in the default's
place. Components are signed toward the axis. Tables: ``space_layers``, ``space_components``,
``space_coordinates``, ``cosines``.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa

from personae.data import tables
from personae.science.persona_space import PersonaSpace, at_every_layer, load_space
from personae.science.question_spread import load_cells
from personae.science.resampling import Bootstrap
from personae.science.rollout_stacks import Source, load_rollouts
from personae.science.space_layers import SpaceSettings, layer_table

_MOST_BYTES = 2**30  # of rollouts in memory at a time, whatever the size of the study


def main(
    *,
    role_vectors: str,
    directions: str,
    sources: Sequence[Source],
    paths_out: Mapping[str, str],
    axis: Mapping[str, Any],
    middle_layer: int,
    seed: int,
    provenance: dict[str, str],
) -> None:
    """Write the four tables; cosines are those of the middle layer."""
    space = load_space(
        tables.read(role_vectors, "role_vectors"), tables.read(directions, "directions")
    )
    settings = SpaceSettings(
        axis["variance_threshold"], axis["permutations"], Bootstrap(axis["bootstrap"], seed)
    )
    layers = _layer_tables(space, sources, axis["null_rollouts"], middle_layer, settings)
    results = {
        "space_layers": tables.assemble(list(layers), "space_layers"),
        **at_every_layer(space),
        "cosines": space.cosine_table(middle_layer),
    }
    for name, table in results.items():
        tables.write(table, paths_out[name], name, provenance)


def _layer_tables(
    space: PersonaSpace,
    sources: Sequence[Source],
    per_subject: int,
    middle_layer: int,
    settings: SpaceSettings,
) -> Iterator[pa.Table]:
    """Yield the rows of every layer; rollouts are read in blocks of layers that fit into memory."""
    a_layer = 4 * per_subject * len(sources) * space.axis.shape[1]
    size = max(1, _MOST_BYTES // a_layer)
    for start in range(0, len(space.layers), size):
        block = list(space.layers[start : start + size])
        rollouts = load_rollouts(sources, per_subject=per_subject, layers=block)
        for place, layer in enumerate(block):
            cells = load_cells(sources, space.rows, layer) if layer == middle_layer else None
            yield layer_table(space.at(layer), rollouts.at(place), cells, settings)


if __name__ == "__main__":
    from personae.workflow.node import run_node

    run_node(
        snakemake,
        main,
        role_vectors=snakemake.input.role_vectors,
        directions=snakemake.input.directions,
        sources=[
            Source(*files)
            for files in zip(
                snakemake.params.roles,
                snakemake.input.responses,
                snakemake.input.activations,
                [*snakemake.input.scores, None],  # the default, last of the roles, is not judged
                strict=True,
            )
        ],
        paths_out={
            "space_layers": snakemake.output.layers,
            "space_components": snakemake.output.components,
            "space_coordinates": snakemake.output.coordinates,
            "cosines": snakemake.output.cosines,
        },
        axis=snakemake.params.axis,
        middle_layer=snakemake.params.middle_layer,
        seed=snakemake.params.seed,
    )
