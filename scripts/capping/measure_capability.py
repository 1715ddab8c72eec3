"""Answer short items with exact answers, uncapped, capped, and capped along random directions.

Greedy decoding without a system prompt; ``correct`` follows from the response by rule (AA,
capabilities under capping). Columns: those of ``capability_responses``.
"""

from collections.abc import Sequence
from typing import Any

from personae.api.requests import Sampling
from personae.data import tables
from personae.inference.client import EngineClient
from personae.rollouts.capability_rollouts import capability_rollouts, checked
from personae.rollouts.responses import generate_responses
from personae.science.capping_arms import parse_arms, read_caps


def main(
    *,
    directions: str,
    floors: str,
    arms: Sequence[dict[str, Any]],
    settings: dict[str, Any],
    items: Sequence[dict[str, Any]],
    path_out: str,
    engine: EngineClient,
    provenance: dict[str, str],
) -> None:
    """Write one row per arm and item."""
    capped, vectors = read_caps(parse_arms(arms), directions, floors, settings)
    rollouts = capability_rollouts(capped, items, seed=settings["seed"])
    sampling = Sampling(temperature=0.0, top_p=1.0, max_new_tokens=settings["max_new_tokens"])
    answers = generate_responses(engine, rollouts, sampling, "capability_responses", vectors)
    tables.write(checked(answers, items), path_out, "capability_responses", provenance)


if __name__ == "__main__":
    from personae.workflow.node import run_model_node

    run_model_node(
        snakemake,
        main,
        directions=snakemake.input.directions,
        floors=snakemake.input.floors,
        arms=list(snakemake.params.arms),
        settings=dict(snakemake.params.settings),
        items=list(snakemake.params.items_),
        path_out=snakemake.output[0],
    )
