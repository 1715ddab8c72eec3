"""Calibrate floors for activation capping from the projections of all rollouts.

For every direction, pool, reading and percentile, at every layer: the floor on that direction, the
share of default and of role rollouts below it, and where the mean default projection lies in the
pool (AA, activation capping). The pool of all rollouts holds those of roles, trait space and
default Assistant, whatever their judge scores. A floor along ``axis`` holds the model toward the
Assistant. Columns: those of ``floors``.
"""

from collections.abc import Sequence

from personae.data import tables
from personae.science.capping_floors import Pools, floor_table
from personae.science.projection_tables import gather_projections, layer_blocks

_LAYERS = 32  # read at a time: of a million rollouts 256 MB along each direction


def main(
    *,
    projections: Sequence[str],
    path_out: str,
    pools: Sequence[str],
    readings: Sequence[str],
    percentiles: Sequence[float],
    provenance: dict[str, str],
) -> None:
    """Write one row per direction, pool, reading, percentile and layer."""
    settings = {"names": pools, "percentiles": percentiles, "readings": readings}
    rows = []
    for block in layer_blocks(projections[0], _LAYERS):
        # Held-out questions are for evaluation: no floor may have seen them.
        gathered = gather_projections(projections, splits=["extraction"], layers=block)
        for (direction, _), found in gathered.items():
            kinds = ("role", "trait", "default")
            by_kind = Pools(
                *(found.of_kind(kind) for kind in kinds),
                questions=tuple(found.questions[found.kinds == kind] for kind in kinds),
            )
            for row in floor_table(by_kind, **settings):
                # A floor's layer is its place among those of the block.
                rows.append(
                    {"direction": direction, **row._asdict(), "layer": found.layers[row.layer]}
                )
    tables.write(tables.from_rows(rows, "floors"), path_out, "floors", provenance)


if __name__ == "__main__":
    from personae.workflow.node import run_node

    run_node(
        snakemake,
        main,
        projections=[*snakemake.input.roles, *snakemake.input.traits],
        path_out=snakemake.output[0],
        pools=snakemake.params.pools,
        readings=snakemake.params.readings,
        percentiles=snakemake.params.percentiles,
    )
