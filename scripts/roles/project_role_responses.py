"""Project every rollout of some roles on the Assistant Axis and on the random directions.

``projection = <h, u>`` with ``h`` the response-mean activation and ``u`` the unit direction of the
same layer; along ``axis`` larger means more like the default Assistant. Columns: those of
``projections``.
"""

from collections.abc import Sequence

from personae.data import tables
from personae.data.table_values import DEFAULT
from personae.science.projection_tables import project_rollouts


def main(
    *,
    roles: Sequence[str],
    responses: Sequence[str],
    activations: Sequence[str],
    directions: str,
    path_out: str,
    provenance: dict[str, str],
) -> None:
    """Write one row per rollout, direction and layer; a file of each kind for every role."""
    columns = ["response_id", "question_id", "split"]
    vectors = tables.read(directions, "directions")
    projected = [
        project_rollouts(
            tables.read(answers, "role_responses", columns),
            tables.read(means, "activations"),
            vectors,
            subject=role,
            kind="default" if role == DEFAULT else "role",
        )
        for role, answers, means in zip(roles, responses, activations, strict=True)
    ]
    tables.write(tables.assemble(projected, "projections"), path_out, "projections", provenance)


if __name__ == "__main__":
    from personae.workflow.node import run_node

    run_node(
        snakemake,
        main,
        roles=snakemake.params.roles,
        responses=list(snakemake.input.responses),
        activations=list(snakemake.input.activations),
        directions=snakemake.input.directions,
        path_out=snakemake.output[0],
    )
