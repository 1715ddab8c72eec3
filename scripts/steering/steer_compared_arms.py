"""Steer one trait in several ways at the same dose, on held-out questions (PV, vectors, steering).

The three variants of the vector, positions, all layers with incremental vectors, ablation, two
traits at once, and random directions; closed questions measure capability under every arm. Tables:
``compared_responses`` and ``compared_closed``.
"""

from collections.abc import Mapping
from typing import Any

from personae.api.requests import Sampling
from personae.data import tables
from personae.data.vector_stacks import stack
from personae.inference.client import EngineClient
from personae.rollouts.capping_cost import closed_rows, closed_values
from personae.rollouts.compared_rollouts import (
    Comparison,
    compared_arms,
    compared_rollouts,
    variants_of,
)
from personae.rollouts.responses import generate_responses
from personae.science.capping_arms import CappingArm
from personae.science.chosen_vectors import chosen_vector
from personae.science.steering_arms import chosen_layer
from personae.science.steering_comparison import is_random


def main(
    *,
    trait: str,
    vectors: str,
    layer: str,
    partner: Mapping[str, str],
    options: dict[str, Any],
    paths_out: Mapping[str, str],
    engine: EngineClient,
    provenance: dict[str, str],
) -> None:
    """Write one row per arm, question and sample, and one per arm and item; none if dropped.

    ``partner`` has the files ``vectors`` and ``layer`` of the trait that is steered along.
    """
    table = tables.read(vectors, "trait_vectors")
    responses, closed = tables.from_rows([], "compared_responses"), []
    if table.num_rows:
        variants = stack(table, "variant")
        given = Comparison(
            chosen_layer(tables.read(layer, "steering_effects")),
            variants_of(variants),
            variants.layers,
            options["coefficient"],
            options["positions_of_steering"],
        )
        other = chosen_vector(partner["vectors"], partner["layer"]) if partner else None
        together = (options["partner"], other) if other is not None else None
        arms, named = compared_arms(given, options, together)
        rollouts = compared_rollouts(
            trait,
            given,
            arms,
            options["questions"],
            samples=options["samples"],
            seed=options["seed"],
        )
        sampling = Sampling(**options["sampling"])
        responses = generate_responses(engine, rollouts, sampling, "compared_responses", named)
        for arm in (arm for arm in arms if not is_random(arm.name)):
            scored = engine.loglikelihood(closed_rows(options["closed"], arm.interventions), named)
            closed += [
                {"trait": trait, "arm": arm.name, "item": v["item"], "correct": v["value"]}
                for v in closed_values(CappingArm(), options["closed"], scored)
            ]
    made = {
        "compared_responses": responses,
        "compared_closed": tables.from_rows(closed, "compared_closed"),
    }
    for kind, found in made.items():
        tables.write(found, paths_out[kind], kind, provenance)


if __name__ == "__main__":
    from personae.workflow.node import run_model_node

    partner = snakemake.input.get("partner")
    run_model_node(
        snakemake,
        main,
        trait=snakemake.wildcards.trait,
        vectors=snakemake.input.vectors,
        layer=snakemake.input.layer,
        partner=dict(zip(("vectors", "layer"), partner or [], strict=False)),
        options=dict(snakemake.params.options),
        paths_out={
            "compared_responses": snakemake.output.responses,
            "compared_closed": snakemake.output.closed,
        },
    )
