"""Judge the responses of one side of a trait: trait score and coherence (PV, judge)."""

from functools import partial

from personae.judging.trait_scoring import score_trait

main = partial(score_trait, kind="trait_responses")

if __name__ == "__main__":
    from personae.workflow.node import judge_arguments, run_judge_node

    run_judge_node(
        snakemake,
        main,
        trait=snakemake.params.trait,
        rubrics=snakemake.params.rubrics,
        **judge_arguments(snakemake),
    )
