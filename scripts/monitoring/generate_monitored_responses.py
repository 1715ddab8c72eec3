"""Generate responses under prompts that bring one trait out more or less strongly.

Every graded system prompt and every number of example exchanges x evaluation question x sample is
one rollout (PV, monitoring). Columns: those of ``monitored_responses``.
"""

from functools import partial

from personae.rollouts.monitored_rollouts import monitoring_rollouts
from personae.rollouts.responses import write_responses

main = partial(write_responses, build=monitoring_rollouts, writes="monitored_responses")

if __name__ == "__main__":
    from personae.workflow.node import run_model_node

    run_model_node(
        snakemake,
        main,
        rollouts=dict(snakemake.params.rollouts),
        generator=None,
        config=snakemake.config,
        path_out=snakemake.output[0],
    )
