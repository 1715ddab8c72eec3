"""Compute a trait's vectors from the rollouts whose prompts had their effect.

``vector = mean(positive) - mean(negative)`` per layer over the rollouts that the filter keeps,
pointing toward the trait, for each span of the study: the response mean, the prompt mean and the
last prompt token (PV, vectors). A trait of which too little is kept is dropped: its
``trait_vectors`` has no rows, the log says why, and nothing is steered or monitored along it.
Tables: ``trait_vectors`` and, per (pair, question) cell, ``trait_pairs``.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from personae.data import tables
from personae.rollouts.activation_reading import activation_blocks
from personae.science.trait_vectors import (
    TraitContrast,
    TraitFilter,
    load_side,
    pair_table,
    vector_table,
)

if TYPE_CHECKING:
    from personae.inference.client import EngineClient


def main(
    *,
    trait: str,
    responses: Sequence[str],
    scores: Sequence[str],
    activations: Sequence[str] | None,
    spans: Sequence[str],
    path_vectors: str,
    path_pairs: str,
    effective: Mapping[str, Any],
    max_unscored: float,
    seed: int,
    engine: "EngineClient | None",
    provenance: dict[str, str],
) -> None:
    """Write vectors and cells; ``selection`` and ``filter`` say how rollouts were paired.

    Files are those of the positive and of the negative side, in this order.
    """
    wanted = TraitFilter(**effective)
    positive, negative = (
        load_side(*files, max_unscored=max_unscored, min_coherence=wanted.min_coherence)
        for files in zip(responses, scores, strict=True)
    )
    contrast = TraitContrast.of(trait, positive, negative, wanted)
    tables.write(pair_table(contrast), path_pairs, "trait_pairs", provenance)
    sinks = contrast.sinks(spans)
    if not contrast.is_dropped:
        for sink, answers, means in zip(sinks, responses, activations or [None] * 2, strict=True):
            for block in activation_blocks(answers, "trait_responses", means, engine, spans=spans):
                sink.add(block)
    vectors = vector_table(contrast, sinks, spans, seed=seed)
    tables.write(vectors, path_vectors, "trait_vectors", provenance)


if __name__ == "__main__":
    from personae.workflow.node import run_reading_node

    run_reading_node(
        snakemake,
        main,
        trait=snakemake.wildcards.trait,
        responses=list(snakemake.input.responses),
        scores=list(snakemake.input.scores),
        activations=list(snakemake.input.get("activations", [])) or None,
        spans=list(snakemake.params.spans),
        path_vectors=snakemake.output.vectors,
        path_pairs=snakemake.output.pairs,
        effective=snakemake.params.effective,
        max_unscored=snakemake.params.max_unscored,
        seed=snakemake.params.seed,
    )
