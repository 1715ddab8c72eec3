"""Steer along one trait vector at every candidate layer, on held-out questions.

``h <- h + coefficient * v_layer`` for every layer x coefficient, and once with coefficient 0, all
in mixed batches of one node (PV, layer sweep). Columns: those of ``steered_responses``.
"""

from typing import Any

from personae.inference.client import EngineClient
from personae.rollouts.steered_rollouts import sweep_settings, write_steered_responses


def main(
    *,
    trait: str,
    vectors: str,
    sweep: dict[str, Any],
    path_out: str,
    engine: EngineClient,
    provenance: dict[str, str],
) -> None:
    """Write one row per layer, coefficient, question and sample; none of a dropped trait."""
    write_steered_responses(
        trait=trait,
        vectors=vectors,
        settings=lambda: sweep_settings(sweep["layers"], sweep["coefficients"]),
        options=sweep,
        path_out=path_out,
        engine=engine,
        provenance=provenance,
    )


if __name__ == "__main__":
    from personae.workflow.node import run_model_node

    run_model_node(
        snakemake,
        main,
        trait=snakemake.wildcards.trait,
        vectors=snakemake.input.vectors,
        sweep=dict(snakemake.params.sweep),
        path_out=snakemake.output[0],
    )
