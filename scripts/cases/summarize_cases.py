"""Risk, harm and projection of the case studies side by side, and how they go together.

``case_turns``: one row per judge and turn. ``case_effects``: what capping changes per measure, over
conversations, and the correlations of risk and harm with the projection within conversations, of
levels and of steps from turn to turn (AA, case studies).
"""

from personae.data import tables
from personae.science.case_studies import case_effects, case_turns
from personae.science.drift import along_axis


def main(
    *,
    replays: str,
    scores: str,
    projections: str,
    layer: int,
    permutations: int,
    seed: int,
    path_turns: str,
    path_effects: str,
    provenance: dict[str, str],
) -> None:
    """Write the two tables."""
    turns = case_turns(
        tables.read(replays, "replays", ["response_id", "conversation", "arm", "turn"]),
        tables.read(scores, "scores"),
        tables.read(projections, "drift_projections", filters=along_axis(layer)),
    )
    tables.write(turns, path_turns, "case_turns", provenance)
    effects = case_effects(turns, permutations=permutations, seed=seed)
    tables.write(effects, path_effects, "case_effects", provenance)


if __name__ == "__main__":
    from personae.workflow.node import run_node

    run_node(
        snakemake,
        main,
        replays=snakemake.input.replays,
        scores=snakemake.input.scores,
        projections=snakemake.input.projections,
        layer=snakemake.params.layer,
        permutations=snakemake.params.permutations,
        seed=snakemake.params.seed,
        path_turns=snakemake.output.turns,
        path_effects=snakemake.output.effects,
    )
