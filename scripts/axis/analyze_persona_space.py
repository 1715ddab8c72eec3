"""Analyse persona space: PCA of the role vectors, and the Assistant Axis against its components.

Per layer, centred and z-scored: variance shares, participation ratio, components for the wanted
share of variance, outlier dimensions, |cos(axis, PC1)| with intervals over roles and (middle layer)
over questions, its null from shuffled default/role labels, and the share of roles that would do as
well in the default's place (AA, persona space).
Components are signed toward the axis. Tables: ``space_layers``, ``space_components``,
``space_coordinates``, ``cosines``.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from personae.data import tables
from personae.data.table_values import DEFAULT
from personae.science.persona_space import load_space
from personae.science.question_spread import load_cells
from personae.science.resampling import Bootstrap
from personae.science.rollout_stacks import Source, load_rollouts


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
    rollouts = load_rollouts(sources, per_subject=axis["null_rollouts"])
    results = {
        "space_layers": space.layer_table(
            rollouts,
            load_cells(sources, [*space.roles.keys, DEFAULT], middle_layer),
            middle_layer=middle_layer,
            variance=axis["variance_threshold"],
            permutations=axis["permutations"],
            plan=Bootstrap(axis["bootstrap"], seed),
        ),
        "space_components": space.component_table(),
        "space_coordinates": space.coordinate_table(),
        "cosines": space.cosine_table(middle_layer),
    }
    for name, table in results.items():
        tables.write(table, paths_out[name], name, provenance)


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
