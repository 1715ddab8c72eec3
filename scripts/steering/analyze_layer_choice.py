"""Ask how firm the choice of a trait's layer is, and whether cheap selectors agree (PV, layers).

Resampled questions, gain on questions that did not choose, and per layer: separation AUC, length of
the vector against the residual stream, and the effect of steering on the likelihood of the trait's
own responses at equal dose. Columns: those of ``layer_choices``.
"""

from collections.abc import Sequence

from personae.data import tables
from personae.data.judge_scores import primary_scores, read_scores
from personae.data.vector_stacks import stack
from personae.inference.client import EngineClient
from personae.rollouts.layer_selectors import layer_selectors
from personae.science.layer_choice import choice_rows, residual_norms, swept_layers
from personae.science.resampling import Bootstrap
from personae.science.steering_arms import VARIANT


def main(
    *,
    trait: str,
    responses: str,
    scores: str,
    vectors: str,
    default: str,
    sides: Sequence[str],
    path_out: str,
    coherence_floor: float,
    max_unscored: float,
    selector_responses: int,
    plan: Bootstrap,
    engine: EngineClient,
    provenance: dict[str, str],
) -> None:
    """Write one row per candidate layer; none of a dropped trait.

    ``default`` are the sums of the default Assistant's activations, ``sides`` the responses of the
    positive and the negative side.
    """
    family = tables.read(vectors, "trait_vectors", filters=[("variant", "==", VARIANT)])
    rows = []
    if family.num_rows:
        judged = read_scores(scores, "trait", max_unscored)
        swept = swept_layers(
            tables.read(responses, "steered_responses").to_pandas(),
            primary_scores(judged, "trait"),
            primary_scores(judged, "coherence"),
        )
        layers = sorted(set(swept.layers.tolist()))
        positive, negative = (tables.read(path, "trait_responses") for path in sides)
        selectors = layer_selectors(
            engine,
            stack(family, "trait"),
            residual_norms(default),
            (positive, negative),
            layers,
            dose=0.25,
            n=selector_responses,
        )
        rows = choice_rows(trait, swept, selectors, coherence_floor, plan)
    table = tables.from_rows(rows, "layer_choices")
    tables.write(table, path_out, "layer_choices", provenance)


if __name__ == "__main__":
    from personae.workflow.node import run_model_node

    run_model_node(
        snakemake,
        main,
        trait=snakemake.wildcards.trait,
        responses=snakemake.input.responses,
        scores=snakemake.input.scores,
        vectors=snakemake.input.vectors,
        default=snakemake.input.default,
        sides=list(snakemake.input.sides),
        path_out=snakemake.output[0],
        coherence_floor=snakemake.params.coherence_floor,
        max_unscored=snakemake.params.max_unscored,
        selector_responses=snakemake.params.selector_responses,
        plan=Bootstrap(snakemake.params.draws, snakemake.params.seed),
    )
