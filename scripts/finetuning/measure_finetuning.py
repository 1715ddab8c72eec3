"""Measure what fine-tuning did: shifts along trait vectors, traits, and the defences (PV).

Shift of the last prompt token along every trait vector against the change of the trait score, with
other traits' data and shuffled vectors as controls; and steering during training against steering
afterwards at equal trait score. Tables: ``finetuning_shifts``, ``finetuning_correlations``,
``finetuning_defences``.
"""

from collections.abc import Mapping, Sequence

from personae.data import tables
from personae.data.judge_scores import check_unscored, primary_judge, primary_scores
from personae.data.vector_stacks import stack
from personae.science.chosen_vectors import chosen_vector
from personae.science.finetuning_shift import (
    Answered,
    correlation_rows,
    shift_rows,
)
from personae.science.training_defences import defence_rows, gather_arms


def main(
    *,
    answers: Sequence[Mapping[str, str]],
    traits: Sequence[str],
    vectors: Sequence[str],
    layers: Sequence[str],
    paths_out: Mapping[str, str],
    max_unscored: float,
    seed: int,
    provenance: dict[str, str],
) -> None:
    """Write the three tables; ``answers`` holds the files of every trained trait."""
    directions = {
        trait: found
        for trait, *files in zip(traits, vectors, layers, strict=True)
        if (found := chosen_vector(*files)) is not None
    }
    shifts, defences = [], []
    for files in answers:
        responses = tables.read(files["responses"], "finetuned_responses").to_pandas()
        judged = tables.read(files["scores"], "scores")
        judge, scores = primary_judge(judged), primary_scores(judged, "trait")
        check_unscored(scores, max_unscored, files["scores"])
        prompts = stack(tables.read(files["prompts"], "activations"), "response_id")
        plain = responses[responses.coefficient == 0]
        shifts += shift_rows(Answered(plain, prompts, scores), directions, judge, seed)
        closed = tables.read(files["closed"], "closed_answers").to_pandas()
        arms = gather_arms(responses, scores, primary_scores(judged, "coherence"), closed)
        defences += defence_rows(responses.trained.iloc[0], arms, judge)
    table = tables.from_rows(shifts, "finetuning_shifts")
    made = {
        "finetuning_shifts": table,
        "finetuning_correlations": tables.from_rows(
            correlation_rows(table.to_pandas(), seed), "finetuning_correlations"
        ),
        "finetuning_defences": tables.from_rows(defences, "finetuning_defences"),
    }
    for kind, found in made.items():
        tables.write(found, paths_out[kind], kind, provenance)


if __name__ == "__main__":
    from personae.workflow.node import run_node

    kinds = ("responses", "scores", "prompts", "closed")
    run_node(
        snakemake,
        main,
        answers=[
            dict(zip(kinds, files, strict=True))
            for files in zip(*(snakemake.input[kind] for kind in kinds), strict=True)
        ],
        traits=snakemake.params.traits,
        vectors=list(snakemake.input.vectors),
        layers=list(snakemake.input.layers),
        paths_out={
            "finetuning_shifts": snakemake.output.shifts,
            "finetuning_correlations": snakemake.output.correlations,
            "finetuning_defences": snakemake.output.defences,
        },
        max_unscored=snakemake.params.max_unscored,
        seed=snakemake.params.seed,
    )
