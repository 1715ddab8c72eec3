"""Project training responses and the model's own answers to their prompts (PV, data screening).

``<h, v> / |v|^2`` of the mean residual stream of the response, for every trait vector at its chosen
layer; of all levels of a trait's training data, or of a user's file. Tables: ``own_answers`` and
``screened_rows``.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from personae.api.requests import Sampling
from personae.data import tables
from personae.inference.client import EngineClient
from personae.personas.library import TrainingExample, read_training_file
from personae.rollouts.responses import generate_responses
from personae.rollouts.screened_rows import own_rollouts, screened_rows
from personae.science.chosen_vectors import chosen_vector


def main(
    *,
    screening: Mapping[str, Any],
    source: str | None,
    traits: Sequence[str],
    vectors: Sequence[str],
    layers: Sequence[str],
    paths_out: Mapping[str, str],
    engine: EngineClient,
    provenance: dict[str, str],
) -> None:
    """Write the own answers and one row per training row and trait; ``source`` is a user's file."""
    datasets = {
        name: [TrainingExample(*row) for row in rows]
        for name, rows in screening["datasets"].items()
    }
    if source:
        name, shown = screening["file"]
        datasets[name] = read_training_file(Path(source), shown)
    chosen = {
        trait: found
        for trait, *files in zip(traits, vectors, layers, strict=True)
        if (found := chosen_vector(*files)) is not None
    }
    rollouts = own_rollouts(datasets, screening["samples"], screening["seed"])
    answers = generate_responses(engine, rollouts, Sampling(**screening["sampling"]), "own_answers")
    rows = screened_rows(engine, datasets, answers, chosen)
    made = {"own_answers": answers, "screened_rows": tables.from_rows(rows, "screened_rows")}
    for kind, table in made.items():
        tables.write(table, paths_out[kind], kind, provenance)


if __name__ == "__main__":
    from personae.workflow.node import run_model_node

    run_model_node(
        snakemake,
        main,
        screening=dict(snakemake.params.screening),
        source=snakemake.input.get("source"),
        traits=snakemake.params.traits,
        vectors=list(snakemake.input.vectors),
        layers=list(snakemake.input.layers),
        paths_out={
            "own_answers": snakemake.output.answers,
            "screened_rows": snakemake.output.rows,
        },
    )
