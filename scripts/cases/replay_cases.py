"""Answer the user turns of the case studies, uncapped and capped, beside the transcripts.

Arms: ``shipped`` (the transcript as written), ``replayed`` and ``capped`` (the same user turns,
answered by the model without and with a cap; AA, case studies). Columns: those of ``replays``.
"""

from typing import Any

import pyarrow as pa

from personae.api.requests import Sampling
from personae.data import tables
from personae.inference.client import EngineClient
from personae.rollouts.drift_replay import replay, shipped_turns
from personae.science.capping_arms import CappingArm, read_caps


def main(
    *,
    directions: str,
    floors: str,
    record: dict[str, Any],
    path_out: str,
    engine: EngineClient,
    provenance: dict[str, str],
) -> None:
    """Write one row per conversation, arm and turn."""
    cap, conversations = record["cap"], record["conversations"]
    arm = CappingArm("axis", cap["band"], cap["percentile"])
    capped, vectors = read_caps([arm], directions, floors, cap)
    sampling = Sampling(**record["sampling"])
    replays = replay(engine, conversations, capped[arm], vectors, sampling, record["seed"])
    turns = pa.concat_tables([shipped_turns(conversations), replays])
    tables.write(turns, path_out, "replays", provenance)


if __name__ == "__main__":
    from personae.workflow.node import run_model_node

    run_model_node(
        snakemake,
        main,
        directions=snakemake.input.directions,
        floors=snakemake.input.floors,
        record=dict(snakemake.params.record),
        path_out=snakemake.output[0],
    )
