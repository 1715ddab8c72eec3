"""Compute a trait's vectors from the rollouts whose prompts had their effect.

``vector = mean(positive) - mean(negative)`` per layer over the rollouts that the filter keeps,
pointing toward the trait, for the response mean, the prompt mean and the last prompt token (PV,
vectors). A trait of which too little is kept is dropped: its ``trait_vectors`` has no rows, the log
says why, and nothing is steered or monitored along it. Tables: ``trait_vectors`` and, per
(pair, question) cell, ``trait_pairs``.
"""

from collections.abc import Mapping
from typing import Any

from personae.data import tables
from personae.science.trait_vectors import TraitFilter, load_side, pair_table, vector_table


def main(
    *,
    trait: str,
    positive: Mapping[str, str],
    negative: Mapping[str, str],
    path_vectors: str,
    path_pairs: str,
    effective: Mapping[str, Any],
    max_unscored: float,
    seed: int,
    provenance: dict[str, str],
) -> None:
    """Write vectors and cells; ``selection`` and ``filter`` say how rollouts were paired."""
    sides = [load_side(files, max_unscored) for files in (positive, negative)]
    wanted = TraitFilter(**effective)
    pairs = pair_table(trait, *sides, wanted)
    tables.write(pairs, path_pairs, "trait_pairs", provenance)
    vectors = vector_table(trait, *sides, wanted, seed=seed)
    tables.write(vectors, path_vectors, "trait_vectors", provenance)


if __name__ == "__main__":
    from personae.workflow.node import run_node

    run_node(
        snakemake,
        main,
        trait=snakemake.wildcards.trait,
        **{
            side: {
                kind: getattr(snakemake.input, f"{side}_{kind}")
                for kind in ("responses", "scores", "activations")
            }
            for side in ("positive", "negative")
        },
        path_vectors=snakemake.output.vectors,
        path_pairs=snakemake.output.pairs,
        effective=snakemake.params.effective,
        max_unscored=snakemake.params.max_unscored,
        seed=snakemake.params.seed,
    )
