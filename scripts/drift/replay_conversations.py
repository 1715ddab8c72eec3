"""Answer the user turns of the shipped conversations, uncapped and capped.

Arms ``replayed`` and ``capped`` share code path, sampling settings and seeds and differ by the caps
alone; no system prompt (AA, persona drift and case studies). Columns: those of ``replays``.
"""

from collections.abc import Sequence
from typing import Any

from personae.api.requests import Sampling
from personae.data import tables
from personae.inference.client import EngineClient
from personae.rollouts.drift_replay import replay
from personae.science.capping_arms import CappingArm, read_caps


def main(
    *,
    directions: str,
    floors: str,
    cap: dict[str, Any],
    conversations: Sequence[dict[str, Any]],
    sampling: dict[str, Any],
    seed: int,
    path_out: str,
    engine: EngineClient,
    provenance: dict[str, str],
) -> None:
    """Write one row per conversation, arm and turn."""
    arm = CappingArm("axis", cap["band"], cap["percentile"])
    capped, vectors = read_caps([arm], directions, floors, cap)
    replays = replay(engine, conversations, capped[arm], vectors, Sampling(**sampling), seed)
    tables.write(replays, path_out, "replays", provenance)


if __name__ == "__main__":
    from personae.workflow.node import run_model_node

    run_model_node(
        snakemake,
        main,
        directions=snakemake.input.directions,
        floors=snakemake.input.floors,
        cap=dict(snakemake.params.cap),
        conversations=list(snakemake.params.conversations),
        sampling=dict(snakemake.params.sampling),
        seed=snakemake.params.seed,
        path_out=snakemake.output[0],
    )
