"""Project every assistant turn of every conversation on the Assistant Axis.

Arms: ``shipped`` (the transcript as written), ``replayed`` and ``capped`` (answered by the model),
and ``simulated`` (both sides written by models), where the study has such conversations.
One forward pass per conversation gives all turns; all arms are read without capping, so that what
is compared is the text that capping led to (AA, persona drift). At the middle layer turns are also
projected on 40 random directions, half of them drawn with the covariance of the turns. Columns:
``drift_projections``.
"""

from collections.abc import Sequence
from typing import Any

from personae.data import tables
from personae.inference.client import EngineClient
from personae.rollouts.drift_replay import (
    TRANSCRIPT,
    NullPlan,
    replayed_transcripts,
    shipped_transcripts,
    turn_projections,
)


def main(
    *,
    directions: str,
    replays: str,
    simulated: str | None,
    conversations: Sequence[dict[str, Any]],
    middle_layer: int,
    seed: int,
    path_out: str,
    engine: EngineClient,
    provenance: dict[str, str],
) -> None:
    """Write one row per conversation, arm, turn, direction and layer."""
    transcripts = shipped_transcripts(conversations)
    for path in filter(None, (replays, simulated)):
        transcripts += replayed_transcripts(tables.read(path, "replays", TRANSCRIPT))
    projected = turn_projections(
        engine,
        transcripts,
        tables.read(directions, "directions"),
        NullPlan(middle_layer, seed),
    )
    tables.write(projected, path_out, "drift_projections", provenance)


if __name__ == "__main__":
    from personae.workflow.node import run_model_node

    run_model_node(
        snakemake,
        main,
        directions=snakemake.input.directions,
        replays=snakemake.input.replays,
        simulated=snakemake.input.get("simulated") or None,
        conversations=list(snakemake.params.conversations),
        middle_layer=snakemake.params.middle_layer,
        seed=snakemake.params.seed,
        path_out=snakemake.output[0],
    )
