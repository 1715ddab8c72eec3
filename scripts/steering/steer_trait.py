"""Steer up and down along one trait vector at its chosen layer, on held-out questions.

Every coefficient, both signs and 0, along the trait vector, and the same coefficients along random
directions of the same norm (PV, steering). Columns: those of ``steered_responses``.
"""

from typing import Any

import pyarrow.compute as pc

from personae.api.requests import Sampling
from personae.data import tables
from personae.data.vector_stacks import stack
from personae.inference.client import EngineClient
from personae.rollouts.responses import generate_responses
from personae.rollouts.steered_rollouts import named_vectors, steering_rollouts
from personae.science.reliability import random_direction
from personae.science.steering_arms import VARIANT, Setting, chosen_layer


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
    table = tables.read(vectors, "trait_vectors")
    if not table.num_rows:  # the filter dropped the trait
        empty = tables.from_rows([], "steered_responses")
        tables.write(empty, path_out, "steered_responses", provenance)
        return
    family = stack(table.filter(pc.equal(table["variant"], VARIANT)), "trait")
    at = chosen_layer(tables.read(layer, "steering_effects"))
    families = {"trait": family.vectors[0]}
    for i in range(steering["random_directions"]):
        families[f"random{i}"] = random_direction(family.vectors[0], steering["seed"] + i)
    # Coefficient 0 is the same response in every direction: it is generated once.
    settings = [
        Setting(name, at, c)
        for name in families
        for c in steering["coefficients"]
        if c != 0 or name == "trait"
    ]
    rollouts = steering_rollouts(
        trait,
        settings,
        steering["questions"],
        samples=steering["samples"],
        positions=steering["positions"],
        seed=steering["seed"],
    )
    named = named_vectors(settings, families, family.layers)
    sampling = Sampling(**steering["sampling"])
    responses = generate_responses(engine, rollouts, sampling, "steered_responses", named)
    tables.write(responses, path_out, "steered_responses", provenance)


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
