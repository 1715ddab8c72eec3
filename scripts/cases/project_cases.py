"""Project the case studies on the Assistant Axis: every turn, and every token of it.

All arms are read without capping, so that what is compared is the text. Tables:
``drift_projections`` (turns, all layers and directions) and ``token_projections`` (tokens of the
middle layer along the axis; AA, case studies).
"""

from personae.data import tables
from personae.inference.client import EngineClient
from personae.rollouts.drift_replay import TRANSCRIPT, replayed_transcripts, turn_projections
from personae.rollouts.token_projections import token_projections


def main(
    *,
    directions: str,
    replays: str,
    layer: int,
    path_turns: str,
    path_tokens: str,
    engine: EngineClient,
    provenance: dict[str, str],
) -> None:
    """Write one row per turn, direction and layer, and one per token."""
    transcripts = replayed_transcripts(tables.read(replays, "replays", TRANSCRIPT))
    known = tables.read(directions, "directions")
    turns = turn_projections(engine, transcripts, known)
    tables.write(turns, path_turns, "drift_projections", provenance)
    tokens = token_projections(engine, transcripts, known, layer)
    tables.write(tokens, path_tokens, "token_projections", provenance)


if __name__ == "__main__":
    from personae.workflow.node import run_model_node

    run_model_node(
        snakemake,
        main,
        directions=snakemake.input.directions,
        replays=snakemake.input.replays,
        layer=snakemake.params.layer,
        path_turns=snakemake.output.turns,
        path_tokens=snakemake.output.tokens,
    )
