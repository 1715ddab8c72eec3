"""Answer harmful requests under persona jailbreaks, uncapped, capped and under controls.

Caps are ``h <- h - u * min(<h, u> - floor, 0)`` along the axis over bands, percentiles and
readings; controls are random directions, the wrong sign, a single layer and steering (AA, capping
evaluation). Columns: those of ``harm_responses``.
"""

from collections.abc import Sequence
from typing import Any

from personae.api.requests import Sampling
from personae.data import tables
from personae.inference.client import EngineClient
from personae.rollouts.probe_rollouts import probe_rollouts
from personae.rollouts.responses import generate_responses
from personae.science.harm_arms import ArmInterventions, parse_harm_arms


def main(
    *,
    directions: str,
    floors: str,
    arms: Sequence[dict[str, Any]],
    record: dict[str, Any],
    path_out: str,
    engine: EngineClient,
    provenance: dict[str, str],
) -> None:
    """Write one row per arm and response."""
    every_arm = parse_harm_arms(arms)
    built = ArmInterventions(
        tables.read(directions, "directions"),
        tables.read(floors, "floors"),
        pool=record["pool"],
        positions=record["positions"],
        layer=record["layer"],
    )
    rollouts = probe_rollouts(
        {arm: built.of(arm) for arm in every_arm},
        record["personas"],
        record["probes"],
        samples=record["samples"],
        seed=record["seed"],
    )
    sampling, vectors = Sampling(**record["sampling"]), built.vectors(every_arm)
    answers = generate_responses(engine, rollouts, sampling, "harm_responses", vectors)
    tables.write(answers, path_out, "harm_responses", provenance)


if __name__ == "__main__":
    from personae.workflow.node import run_model_node

    run_model_node(
        snakemake,
        main,
        directions=snakemake.input.directions,
        floors=snakemake.input.floors,
        arms=list(snakemake.params.arms),
        record=dict(snakemake.params.record),
        path_out=snakemake.output[0],
    )
