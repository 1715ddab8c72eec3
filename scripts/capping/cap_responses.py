"""Answer as roles and in persona jailbreaks, with and without activation capping.

``h <- h - u * min(<h, u> - floor, 0)`` at every layer of a band, along the Assistant Axis and along
random directions (AA, activation capping): held-out questions under role prompts (suite ``roles``)
and multi-turn conversations (suite ``jailbreak``). Columns: those of ``capped_responses``.
"""

from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from personae.api.requests import Sampling
from personae.data import tables
from personae.inference.client import EngineClient
from personae.rollouts.capped_rollouts import jailbreak_dialogues, role_suite
from personae.rollouts.conversation import play
from personae.rollouts.responses import generate_responses
from personae.science.capping_arms import parse_arms, read_caps


def main(
    *,
    directions: str,
    floors: str,
    arms: Sequence[dict[str, Any]],
    rollouts: dict[str, Any],
    conversations: Sequence[dict[str, Any]],
    path_out: str,
    engine: EngineClient,
    provenance: dict[str, str],
) -> None:
    """Write one row per arm and response."""
    capped, vectors = read_caps(parse_arms(arms), directions, floors, rollouts)
    sampling, seed = Sampling(**rollouts["sampling"]), rollouts["seed"]
    suite = role_suite(capped, rollouts["roles"], rollouts["questions"], seed=seed)
    answers = generate_responses(engine, suite, sampling, "capped_responses", vectors)
    dialogues = jailbreak_dialogues(capped, conversations)
    turns = play(engine, dialogues, sampling, "capped_responses", seed=seed, vectors=vectors)
    tables.write(pa.concat_tables([answers, turns]), path_out, "capped_responses", provenance)


if __name__ == "__main__":
    from personae.workflow.node import run_model_node

    run_model_node(
        snakemake,
        main,
        directions=snakemake.input.directions,
        floors=snakemake.input.floors,
        arms=list(snakemake.params.arms),
        rollouts=dict(snakemake.params.rollouts),
        conversations=list(snakemake.params.conversations),
        path_out=snakemake.output[0],
    )
