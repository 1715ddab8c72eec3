"""Judge the responses of one trait under prompts of graded strength: trait score and coherence."""

from functools import partial

from personae.judging.trait_scoring import score_trait

main = partial(score_trait, kind="monitored_responses")

if __name__ == "__main__":
    from personae.workflow.node import judge_arguments, run_judge_node

    run_judge_node(snakemake, main, trait=snakemake.params.trait, **judge_arguments(snakemake))
