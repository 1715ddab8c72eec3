"""Project every rollout of some traits on the Assistant Axis and on the random directions.

The rollouts of the trait space belong to the pool that capping floors are calibrated on (AA,
capping). Larger along ``axis`` means more like the default Assistant. Columns: those of
``projections``.
"""

from collections.abc import Sequence

import pyarrow as pa

from personae.data import tables
from personae.science.projection_tables import project_files


def main(
    *,
    traits: Sequence[str],
    responses: Sequence[str],
    activations: Sequence[str],
    directions: str,
    path_out: str,
    provenance: dict[str, str],
) -> None:
    """Write one row per rollout, direction and layer.

    ``traits`` holds the trait of each file of ``responses`` and ``activations``: a trait has one of
    each for every polarity.
    """
    columns = ["response_id", "question_id"]
    subjects = [(trait, "trait") for trait in traits]
    rollouts = (_extraction(tables.read(path, "trait_responses", columns)) for path in responses)
    projected = project_files(subjects, rollouts, activations, directions)
    tables.write(projected, path_out, "projections", provenance)


def _extraction(rollouts: pa.Table) -> pa.Table:
    """Add the column ``split``: trait vectors and floors come from extraction questions alone."""
    return rollouts.append_column("split", pa.array(["extraction"] * rollouts.num_rows))


if __name__ == "__main__":
    from personae.workflow.node import run_node

    run_node(
        snakemake,
        main,
        traits=snakemake.params.traits,
        responses=list(snakemake.input.responses),
        activations=list(snakemake.input.activations),
        directions=snakemake.input.directions,
        path_out=snakemake.output[0],
    )
