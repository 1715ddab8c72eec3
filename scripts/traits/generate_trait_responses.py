"""Generate the responses of one trait under its positive or its negative instructions.

Every instruction x extraction question x sample is one rollout (PV, rollouts). Columns: those of
``trait_responses``.
"""

from functools import partial

from personae.rollouts.persona_rollouts import trait_rollouts
from personae.rollouts.responses import write_responses

main = partial(write_responses, build=trait_rollouts, writes="trait_responses")

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
