"""Measure how well the projection tells the default Assistant from the roles.

Per layer and direction, on extraction and on held-out questions: the probability that a default
rollout projects higher than a role rollout (AUC), with an interval over questions and a null of
shuffled default/role labels within questions. Columns: those of ``separation``.
"""

from collections.abc import Sequence
from typing import Any

from personae.data import tables
from personae.science.projection_tables import gather_projections
from personae.science.separation import separate


def main(
    *,
    projections: Sequence[str],
    path_out: str,
    axis: dict[str, Any],
    seed: int,
    provenance: dict[str, str],
) -> None:
    """Write one row per direction, split and layer."""
    settings = {"permutations": axis["permutations"], "seed": seed}
    parts = [
        separate(found, direction, split, **settings)
        for (direction, split), found in gather_projections(projections).items()
    ]
    tables.write(tables.assemble(parts, "separation"), path_out, "separation", provenance)


if __name__ == "__main__":
    from personae.workflow.node import run_node

    run_node(
        snakemake,
        main,
        projections=list(snakemake.input.projections),
        path_out=snakemake.output[0],
        axis=snakemake.params.axis,
        seed=snakemake.params.seed,
    )
