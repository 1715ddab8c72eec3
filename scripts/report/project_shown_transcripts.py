"""Project the tokens of transcripts that the report shows, to shade them.

Directions are the Assistant Axis at the middle layer and every trait vector at its chosen layer,
all of unit length. Columns: those of ``shown_tokens``.
"""

from collections.abc import Mapping, Sequence

import pyarrow as pa

from personae.data import tables
from personae.data.vector_stacks import stack
from personae.inference.client import EngineClient
from personae.inference.turn_projections import Direction
from personae.rollouts.shown_tokens import shown_tokens, shown_transcripts
from personae.science.chosen_vectors import ChosenVector, chosen_vector
from personae.science.projection import unit


def main(
    *,
    responses: Mapping[str, tuple[str, Sequence[str]]],
    directions: str,
    traits: Sequence[str],
    vectors: Sequence[str],
    layers: Sequence[str],
    middle_layer: int,
    most: int,
    path_out: str,
    engine: EngineClient,
    provenance: dict[str, str],
) -> None:
    """Write one row per response and direction; ``responses`` are kind and files by input."""
    axis = stack(tables.read(directions, "directions"), "direction").select(["axis"])
    at = axis.layers.index(middle_layer)
    chosen = {"axis": ChosenVector(middle_layer, axis.vectors[0][at])}
    for trait, *files in zip(traits, vectors, layers, strict=True):
        if (found := chosen_vector(*files)) is not None:
            chosen[trait] = found
    asked = {name: Direction(c.layer, unit(c.vector[None])[0]) for name, c in chosen.items()}
    rows = {
        source: pa.concat_tables([tables.read(path, kind) for path in paths])
        for source, (kind, paths) in responses.items()
        if paths
    }
    table = shown_tokens(engine, shown_transcripts(rows, most), asked)
    tables.write(table, path_out, "shown_tokens", provenance)


if __name__ == "__main__":
    from personae.workflow.node import run_model_node

    run_model_node(
        snakemake,
        main,
        responses={
            "steered_responses": ("steered_responses", snakemake.input.steered),
            "capped_responses": ("capped_responses", [snakemake.input.capped]),
            **{
                source: ("replays", [path] if (path := snakemake.input.get(name)) else [])
                for source, name in (
                    ("replays", "replays"),
                    ("simulated", "simulated"),
                    ("case_replays", "cases"),
                )
            },
        },
        directions=snakemake.input.directions,
        traits=snakemake.params.traits,
        vectors=snakemake.input.vectors,
        layers=snakemake.input.layers,
        middle_layer=snakemake.params.middle_layer,
        most=snakemake.params.most,
        path_out=snakemake.output[0],
    )
