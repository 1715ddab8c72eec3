"""Summarise steering along one trait: trait score and coherence against the coefficient.

Means with intervals over questions, by judge and direction; unscored responses are counted and
bounded, never turned into numbers (PV, steering). Columns: those of ``steering_effects``.
"""

from personae.data import tables
from personae.data.judge_scores import read_scores
from personae.science.steering import effect_table


def main(
    *,
    trait: str,
    responses: str,
    scores: str,
    path_out: str,
    max_unscored: float,
    seed: int,
    provenance: dict[str, str],
) -> None:
    """Write one row per direction, coefficient, judge and rubric."""
    judged = read_scores(scores, "trait", max_unscored)
    effects = effect_table(tables.read(responses, "steered_responses"), judged, trait, seed)
    tables.write(effects, path_out, "steering_effects", provenance)


if __name__ == "__main__":
    from personae.workflow.node import run_node

    run_node(
        snakemake,
        main,
        trait=snakemake.wildcards.trait,
        responses=snakemake.input.responses,
        scores=snakemake.input.scores,
        path_out=snakemake.output[0],
        max_unscored=snakemake.params.max_unscored,
        seed=snakemake.params.seed,
    )
