"""Ask roles who they are, steered along the Assistant Axis both ways.

``h <- h + s * u`` after one block at every token, ``u`` the unit axis toward the Assistant, and
along random directions (AA, role susceptibility). Columns: those of ``speaker_responses``; the
strength is given in mean residual norms and in persona gaps as well.
"""

from typing import Any

from personae.api.requests import Sampling
from personae.data import tables
from personae.inference.client import EngineClient
from personae.rollouts.axis_steering import axis_arms, introspective_rollouts, unit_vectors
from personae.rollouts.responses import generate_responses


def main(
    *,
    directions: str,
    record: dict[str, Any],
    path_out: str,
    engine: EngineClient,
    provenance: dict[str, str],
) -> None:
    """Write one row per arm and response."""
    known = tables.read(directions, "directions")
    arms = axis_arms(
        known,
        layer=record["layer"],
        unit_of_strength=record["unit"],
        strengths=record["strengths"],
        random_directions=record["random_directions"],
    )
    rollouts = introspective_rollouts(
        arms, record["roles"], record["questions"], samples=record["samples"], seed=record["seed"]
    )
    sampling, vectors = Sampling(**record["sampling"]), unit_vectors(known, arms)
    answers = generate_responses(engine, rollouts, sampling, "speaker_responses", vectors)
    tables.write(answers, path_out, "speaker_responses", provenance)


if __name__ == "__main__":
    from personae.workflow.node import run_model_node

    run_model_node(
        snakemake,
        main,
        directions=snakemake.input.directions,
        record=dict(snakemake.params.record),
        path_out=snakemake.output[0],
    )
