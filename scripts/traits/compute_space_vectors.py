"""Compute the vectors of traits of the trait space, and project their rollouts on the axis.

Both in one reading of the rollouts: they are half of a study, and nothing else reads them. The
vector points toward the trait and is that of the response mean, over the pairs of rollouts whose
scores differ enough (AA, trait space); a trait with too few has none, and the log names it. All
rollouts, whatever their scores, are projected: they belong to the pool that capping floors are
calibrated on (AA, capping). Tables: ``trait_vectors``, ``projections`` and ``trait_sums`` (kept
rollouts at the middle layer, by side and fold of the questions).
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from personae.data import tables
from personae.data.table_values import ROLE_SPANS
from personae.rollouts.activation_reading import activation_blocks
from personae.science.activation_sums import through
from personae.science.projection_tables import Asked, direction_stack, project_blocks
from personae.science.space_sums import sum_table
from personae.science.trait_vectors import TraitContrast, TraitFilter, load_side, vector_table

if TYPE_CHECKING:
    from personae.inference.client import EngineClient

KIND = "trait_responses"


def main(
    *,
    traits: Sequence[str],
    responses: Sequence[str],
    scores: Sequence[str],
    activations: Sequence[str] | None,
    directions: str,
    path_vectors: str,
    path_projections: str,
    path_sums: str,
    effective: Mapping[str, Any],
    middle_layer: int,
    max_unscored: float,
    seed: int,
    engine: "EngineClient | None",
    provenance: dict[str, str],
) -> None:
    """Write the tables of some traits.

    ``responses``, ``scores`` and ``activations`` hold two files for every trait, those of the
    positive side first.
    """
    axes = direction_stack(tables.read(directions, "directions"))
    wanted = TraitFilter(**effective)
    means = activations or [None] * len(responses)
    vectors, projected, sums = [], [], []
    for i, trait in enumerate(traits):
        files = responses[2 * i : 2 * i + 2], scores[2 * i : 2 * i + 2]
        positive, negative = (
            load_side(*pair, max_unscored=max_unscored, min_coherence=wanted.min_coherence)
            for pair in zip(*files, strict=True)
        )
        contrast = TraitContrast.of(trait, positive, negative, wanted)
        sinks = contrast.sinks(ROLE_SPANS)
        for sink, answers, kept in zip(sinks, files[0], means[2 * i : 2 * i + 2], strict=True):
            asked = Asked.of(tables.read(answers, KIND, ["response_id", "question_id"]))
            blocks = activation_blocks(answers, KIND, kept, engine, spans=ROLE_SPANS)
            through_sums = through(blocks, sink)
            projected.append(project_blocks(asked, through_sums, axes, subject=trait, kind="trait"))
        vectors.append(vector_table(contrast, sinks, ROLE_SPANS, seed=seed))
        sums.append(sum_table(contrast, sinks, layer=middle_layer))
    tables.write(
        tables.assemble(vectors, "trait_vectors"), path_vectors, "trait_vectors", provenance
    )
    tables.write(
        tables.assemble(projected, "projections"), path_projections, "projections", provenance
    )
    tables.write(tables.assemble(sums, "trait_sums"), path_sums, "trait_sums", provenance)


if __name__ == "__main__":
    from personae.workflow.node import run_reading_node

    run_reading_node(
        snakemake,
        main,
        traits=list(snakemake.params.traits),
        responses=list(snakemake.input.responses),
        scores=list(snakemake.input.scores),
        activations=list(snakemake.input.get("activations", [])) or None,
        directions=snakemake.input.directions,
        path_vectors=snakemake.output.vectors,
        path_projections=snakemake.output.projections,
        path_sums=snakemake.output.sums,
        effective=snakemake.params.effective,
        middle_layer=snakemake.params.middle_layer,
        max_unscored=snakemake.params.max_unscored,
        seed=snakemake.params.seed,
    )
