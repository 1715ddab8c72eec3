"""Project every rollout of some roles on the Assistant Axis and on the random directions.

``projection = <h, u>`` with ``h`` the response-mean activation and ``u`` the unit direction of the
same layer; along ``axis`` larger means more like the default Assistant. Columns: those of
``projections``.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from personae.data import tables
from personae.data.table_values import DEFAULT, ROLE_SPANS
from personae.rollouts.activation_reading import activation_blocks
from personae.science.projection_tables import Asked, direction_stack, project_blocks

if TYPE_CHECKING:
    from personae.inference.client import EngineClient

KIND = "role_responses"


def main(
    *,
    roles: Sequence[str],
    responses: Sequence[str],
    activations: Sequence[str] | None,
    directions: str,
    path_out: str,
    engine: "EngineClient | None",
    provenance: dict[str, str],
) -> None:
    """Write one row per rollout, direction and layer; a file of each kind for every role."""
    axes = direction_stack(tables.read(directions, "directions"))
    projected = []
    for role, answers, means in zip(
        roles, responses, activations or [None] * len(roles), strict=True
    ):
        table = tables.read(answers, KIND, ["response_id", "question_id", "split"])
        blocks = activation_blocks(answers, KIND, means, engine, spans=ROLE_SPANS)
        kind = "default" if role == DEFAULT else "role"
        projected.append(project_blocks(Asked.of(table), blocks, axes, subject=role, kind=kind))
    tables.write(tables.assemble(projected, "projections"), path_out, "projections", provenance)


if __name__ == "__main__":
    from personae.workflow.node import run_reading_node

    run_reading_node(
        snakemake,
        main,
        roles=snakemake.params.roles,
        responses=list(snakemake.input.responses),
        activations=list(snakemake.input.get("activations", [])) or None,
        directions=snakemake.input.directions,
        path_out=snakemake.output[0],
    )
