"""Compute a trait's vectors from its effective prompt pairs.

``vector = mean(positive) - mean(negative)`` per layer over the kept (pair, question) cells,
pointing toward the trait, for the response mean, the prompt mean and the last prompt token (PV,
vectors). Tables: ``trait_vectors`` and, per cell, ``trait_pairs``.
"""

from collections.abc import Mapping
from typing import Any

from personae.data import tables
from personae.science.trait_vectors import CellFilter, load_side, pair_table, vector_table


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
    """Write vectors and cells; ``selection`` says whether the vectors are of effective cells."""
    sides = [load_side(files, max_unscored) for files in (positive, negative)]
    wanted = CellFilter(**effective)
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
