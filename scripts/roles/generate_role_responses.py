"""Generate the responses of one role, or of the default Assistant.

Every system prompt x question x sample is one rollout; extraction and held-out questions are kept
apart by the column ``split`` (AA, rollouts). Columns: those of ``role_responses``.
"""

from functools import partial

from personae.rollouts.persona_rollouts import role_rollouts
from personae.rollouts.responses import write_responses

main = partial(write_responses, build=role_rollouts, writes="role_responses")

if __name__ == "__main__":
    from personae.workflow.node import run_model_node

    run_model_node(
        snakemake,
        main,
        rollouts=dict(snakemake.params.rollouts),
        generator=snakemake.params.generator,
        config=snakemake.config,
        path_out=snakemake.output[0],
    )
