"""Steer along one trait vector at every candidate layer, on held-out questions.

``h <- h + coefficient * v_layer`` for every layer x coefficient, and once with coefficient 0, all
in mixed batches of one node (PV, layer sweep). Columns: those of ``steered_responses``.
"""

from typing import Any

import pyarrow.compute as pc

from personae.api.requests import Sampling
from personae.data import tables
from personae.data.vector_stacks import stack
from personae.inference.client import EngineClient
from personae.rollouts.responses import generate_responses
from personae.rollouts.steered_rollouts import named_vectors, steering_rollouts, sweep_settings
from personae.science.steering_arms import VARIANT


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
    table = tables.read(vectors, "trait_vectors")
    if not table.num_rows:  # the filter dropped the trait
        empty = tables.from_rows([], "steered_responses")
        tables.write(empty, path_out, "steered_responses", provenance)
        return
    family = stack(table.filter(pc.equal(table["variant"], VARIANT)), "trait")
    settings = sweep_settings(sweep["layers"], sweep["coefficients"])
    rollouts = steering_rollouts(
        trait,
        settings,
        sweep["questions"],
        samples=sweep["samples"],
        positions=sweep["positions"],
        seed=sweep["seed"],
    )
    named = named_vectors(settings, {"trait": family.vectors[0]}, family.layers)
    sampling = Sampling(**sweep["sampling"])
    responses = generate_responses(engine, rollouts, sampling, "steered_responses", named)
    tables.write(responses, path_out, "steered_responses", provenance)


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
