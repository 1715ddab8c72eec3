"""Project every rollout of one role on the Assistant Axis and on the random directions.

``projection = <h, u>`` with ``h`` the response-mean activation and ``u`` the unit direction of the
same layer; along ``axis`` larger means more like the default Assistant. Columns: those of
``projections``.
"""

from personae.data import tables
from personae.data.table_values import DEFAULT
from personae.science.projection_tables import project_rollouts


def main(
    *,
    role: str,
    responses: str,
    activations: str,
    directions: str,
    path_out: str,
    provenance: dict[str, str],
) -> None:
    """Write one row per rollout, direction and layer."""
    projected = project_rollouts(
        tables.read(responses, "role_responses", columns=["response_id", "question_id", "split"]),
        tables.read(activations, "activations"),
        tables.read(directions, "directions"),
        subject=role,
        kind="default" if role == DEFAULT else "role",
    )
    tables.write(projected, path_out, "projections", provenance)


if __name__ == "__main__":
    from personae.workflow.node import run_node

    run_node(
        snakemake,
        main,
        role=snakemake.wildcards.role,
        responses=snakemake.input.responses,
        activations=snakemake.input.activations,
        directions=snakemake.input.directions,
        path_out=snakemake.output[0],
    )
