"""Choose the layer at which a trait is steered.

The layer with the largest gain of the mean trait score over the unsteered arm, among arms whose
mean coherence stays at or above its floor (PV, layer sweep); the primary judge decides. Columns:
those of ``steering_effects``, ``chosen`` marking the winning arm.
"""

from personae.data import tables
from personae.data.judge_scores import read_scores
from personae.science.steering import effect_table, mark_chosen


def main(
    *,
    trait: str,
    responses: str,
    scores: str,
    path_out: str,
    coherence_floor: float,
    max_unscored: float,
    seed: int,
    provenance: dict[str, str],
) -> None:
    """Write one row per arm, judge and rubric."""
    judged = read_scores(scores, "trait", max_unscored)
    effects = effect_table(tables.read(responses, "steered_responses"), judged, trait, seed)
    if effects.num_rows:
        primary = judged.filter(judged["primary"])["judge"][0].as_py()
        effects = mark_chosen(effects, primary, coherence_floor)
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
        coherence_floor=snakemake.params.coherence_floor,
        max_unscored=snakemake.params.max_unscored,
        seed=snakemake.params.seed,
    )
