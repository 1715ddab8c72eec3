"""Calibrate floors for activation capping from the projections of all rollouts.

For every direction, pool, reading and percentile, at every layer: the floor on that direction, the
share of default and of role rollouts below it, and where the mean default projection lies in the
pool (AA, activation capping). A floor along ``axis`` holds the model toward the Assistant. Columns:
those of ``floors``.
"""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from personae.data import tables
from personae.science.capping_floors import Pools, floor_table
from personae.science.projection_tables import projection_matrix


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
    table = pa.concat_tables([tables.read(path, "projections") for path in projections])
    # Held-out questions are for evaluation: no floor may have seen them.
    table = table.filter(pc.equal(table["split"], "extraction"))
    rows = []
    for direction in pc.unique(table["direction"]).to_pylist():
        calibrated = floor_table(
            _pools(table, direction), names=pools, percentiles=percentiles, readings=readings
        )
        rows += [{"direction": direction, **row._asdict()} for row in calibrated]
    tables.write(tables.from_rows(rows, "floors"), path_out, "floors", provenance)


def _pools(table: pa.Table, direction: str) -> Pools:
    def of_kind(kind: str) -> np.ndarray:
        return projection_matrix(table.filter(pc.equal(table["kind"], kind)), direction)[1]

    return Pools(roles=of_kind("role"), traits=of_kind("trait"), default=of_kind("default"))


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
