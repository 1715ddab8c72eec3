"""Summarise persona drift: mean projection per turn, by arm and kind of conversation.

Means over conversations with bootstrap intervals at the middle layer; those of simulated
conversations by domain too. Positions with fewer than ``min_samples`` conversations are dropped,
with fewer than ``simulated_min_samples`` of simulated ones (AA, persona drift). Columns: those of
``drift_summary``.
"""

from personae.data import tables
from personae.data.table_values import SIMULATED
from personae.science.drift import along_axis, drift_summary


def main(
    *,
    projections: str,
    path_out: str,
    layer: int,
    min_samples: int,
    simulated_min_samples: int | None,
    seed: int,
    provenance: dict[str, str],
) -> None:
    """Write one row per arm, kind, domain and turn."""
    table = tables.read(projections, "drift_projections", filters=along_axis(layer))
    least = {} if simulated_min_samples is None else {SIMULATED: simulated_min_samples}
    summary = drift_summary(table, layer, min_samples=min_samples, of_domains=least, seed=seed)
    tables.write(summary, path_out, "drift_summary", provenance)


if __name__ == "__main__":
    from personae.workflow.node import run_node

    run_node(
        snakemake,
        main,
        projections=snakemake.input[0],
        path_out=snakemake.output[0],
        layer=snakemake.params.layer,
        min_samples=snakemake.params.min_samples,
        simulated_min_samples=snakemake.params.simulated_min_samples,
        seed=snakemake.params.seed,
    )
