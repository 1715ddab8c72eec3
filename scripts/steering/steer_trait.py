"""Steer up and down along one trait vector at its chosen layer, on held-out questions.

Every coefficient, both signs and 0, along the trait vector, and the same coefficients along random
directions of the same norm (PV, steering). Columns: those of ``steered_responses``.
"""

from typing import Any

from personae.data import tables
from personae.inference.client import EngineClient
from personae.rollouts.steered_rollouts import steering_settings, write_steered_responses
from personae.science.steering_arms import Setting, chosen_layer


def main(
    *,
    trait: str,
    vectors: str,
    layer: str,
    steering: dict[str, Any],
    path_out: str,
    engine: EngineClient,
    provenance: dict[str, str],
) -> None:
    """Write one row per direction, coefficient, question and sample; none of a dropped trait."""

    def settings() -> list[Setting]:
        at = chosen_layer(tables.read(layer, "steering_effects"))
        return steering_settings(at, steering["coefficients"], steering["random_directions"])

    write_steered_responses(
        trait=trait,
        vectors=vectors,
        settings=settings,
        options=steering,
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
        layer=snakemake.input.layer,
        steering=dict(snakemake.params.steering),
        path_out=snakemake.output[0],
    )
