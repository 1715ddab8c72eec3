"""Project every rollout of some roles on the Assistant Axis and on the random directions.

``projection = <h, u>`` with ``h`` the response-mean activation and ``u`` the unit direction of the
same layer; along ``axis`` larger means more like the default Assistant. Columns: those of
``projections``.
"""

from collections.abc import Sequence

from personae.data import tables
from personae.data.table_values import DEFAULT
from personae.science.projection_tables import project_files


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
    subjects = [(role, "default" if role == DEFAULT else "role") for role in roles]
    rollouts = (tables.read(path, "role_responses", columns) for path in responses)
    projected = project_files(subjects, rollouts, activations, directions)
    tables.write(projected, path_out, "projections", provenance)


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
