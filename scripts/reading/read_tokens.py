"""Read trait vectors and the Assistant Axis as tokens, by the model's own head (PV, reading).

Every trait vector at its chosen layer and the axis at the middle layer go through the final norm
and the output head; the tokens that each raises and lowers most are kept, with what directions of
shuffled coordinates reach. Columns: those of ``vector_tokens``.
"""

from collections.abc import Sequence
from pathlib import Path

from personae.api.requests import EngineSpec
from personae.data import tables
from personae.data.vector_stacks import stack
from personae.science.chosen_vectors import ChosenVector, chosen_vector
from personae.science.token_reading import token_rows


def main(
    *,
    traits: Sequence[str],
    vectors: Sequence[str],
    layers: Sequence[str],
    directions: str,
    middle_layer: int,
    tokens: int,
    seed: int,
    path_out: str,
    machine: EngineSpec,
    provenance: dict[str, str],
) -> None:
    """Write ``tokens`` rows per direction and side; dropped traits have none."""
    # Imported here: torch, which only the running node needs.
    from personae.inference.torch_engine.logit_lens import token_logits
    from personae.inference.torch_engine.model_loading import load_model

    axis = stack(tables.read(directions, "directions"), "direction").select(["axis"])
    read = {
        trait: found
        for trait, *files in zip(traits, vectors, layers, strict=True)
        if (found := chosen_vector(*files)) is not None
    }
    at = axis.layers.index(middle_layer)
    read["assistant_axis"] = ChosenVector(middle_layer, axis.vectors[0][at])
    loaded = load_model(Path(machine.model), machine.dtype, machine.device)
    rows = token_rows(
        read,
        lambda found: token_logits(loaded, found),
        lambda token: str(loaded.tokenizer.decode([token])),
        tokens,
        seed,
    )
    tables.write(tables.from_rows(rows, "vector_tokens"), path_out, "vector_tokens", provenance)


if __name__ == "__main__":
    from personae.workflow.node import run_training_node

    run_training_node(
        snakemake,
        main,
        traits=snakemake.params.traits,
        vectors=list(snakemake.input.vectors),
        layers=list(snakemake.input.layers),
        directions=snakemake.input.directions,
        middle_layer=snakemake.params.middle_layer,
        tokens=snakemake.params.tokens,
        seed=snakemake.params.seed,
        path_out=snakemake.output[0],
    )
