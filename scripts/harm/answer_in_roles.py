"""Ask harmful requests after a first turn in a role.

The first turns are responses of roles, and of the default Assistant, to held-out questions (AA,
persona drift: harm link). Columns: those of ``harm_link_responses``.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from personae.api.requests import Sampling
from personae.data import tables
from personae.inference.client import EngineClient
from personae.rollouts.responses import plain_responses
from personae.rollouts.second_turns import FIRST_TURN, second_turn_rollouts


def main(
    *,
    responses: Sequence[str],
    record: Mapping[str, Any],
    generator: Mapping[str, Any] | None,
    config: Mapping[str, Any],
    path_out: str,
    engine: EngineClient,
    provenance: dict[str, str],
) -> None:
    """Write one row per first turn and request."""
    first = pa.concat_tables(
        [tables.read(path, "role_responses", list(FIRST_TURN)) for path in responses]
    )
    rollouts = second_turn_rollouts(
        first,
        record["probes"],
        prompts=record["prompts"],
        questions=record["questions"],
        seed=record["seed"],
    )
    sampling = Sampling(**record["sampling"])
    answers = plain_responses(engine, rollouts, sampling, "harm_link_responses", generator, config)
    tables.write(answers, path_out, "harm_link_responses", provenance)


if __name__ == "__main__":
    from personae.workflow.node import run_model_node

    run_model_node(
        snakemake,
        main,
        responses=list(snakemake.input.responses),
        record=dict(snakemake.params.record),
        generator=snakemake.params.generator,
        config=snakemake.config,
        path_out=snakemake.output[0],
    )
