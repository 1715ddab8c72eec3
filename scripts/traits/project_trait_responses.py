"""Project every rollout of one side of a trait on the Assistant Axis and the random directions.

The trait rollouts belong to the pool that capping floors are calibrated on (AA, capping). Larger
along ``axis`` means more like the default Assistant. Columns: those of ``projections``.
"""

import pyarrow as pa

from personae.data import tables
from personae.science.projection_tables import project_rollouts


def main(
    *,
    trait: str,
    responses: str,
    activations: str,
    directions: str,
    path_out: str,
    provenance: dict[str, str],
) -> None:
    """Write one row per rollout, direction and layer."""
    rollouts = tables.read(responses, "trait_responses", columns=["response_id", "question_id"])
    # Trait vectors and floors come from extraction questions alone.
    split = pa.array(["extraction"] * rollouts.num_rows)
    projected = project_rollouts(
        rollouts.append_column("split", split),
        tables.read(activations, "activations"),
        tables.read(directions, "directions"),
        subject=trait,
        kind="trait",
    )
    tables.write(projected, path_out, "projections", provenance)


if __name__ == "__main__":
    from personae.workflow.node import run_node

    run_node(
        snakemake,
        main,
        trait=snakemake.wildcards.trait,
        responses=snakemake.input.responses,
        activations=snakemake.input.activations,
        directions=snakemake.input.directions,
        path_out=snakemake.output[0],
    )
