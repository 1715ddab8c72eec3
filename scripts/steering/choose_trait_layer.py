"""Choose the layer at which a trait is steered.

The layer with the largest gain of the mean trait score over the unsteered arm, among arms whose
mean coherence stays at or above its floor (PV, layer sweep); the primary judge decides. Columns:
those of ``steering_effects``, ``chosen`` marking the winning arm.
"""

import pyarrow as pa

from personae.data import tables
from personae.data.judge_scores import check_unscored, primary_scores
from personae.science.steering import choose_setting, effect_table
from personae.science.steering_arms import Setting


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
    judged = tables.read(scores, "scores")
    check_unscored(primary_scores(judged, "trait"), max_unscored, scores)
    effects = effect_table(tables.read(responses, "steered_responses"), judged, trait, seed)
    if not effects.num_rows:  # the filter dropped the trait: there is no layer to choose
        tables.write(effects, path_out, "steering_effects", provenance)
        return
    primary = judged.filter(judged["primary"])["judge"][0].as_py()
    choice = choose_setting(effects, primary, coherence_floor)
    marks = [
        row["judge"] == primary
        and Setting(row["direction"], row["layer"], row["coefficient"]) == choice.setting
        for row in effects.to_pylist()
    ]
    place = effects.schema.get_field_index("chosen")
    marked = effects.set_column(place, "chosen", pa.array(marks))
    tables.write(marked, path_out, "steering_effects", provenance)


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
