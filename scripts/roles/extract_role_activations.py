"""Extract the activations of one role: the mean residual stream over each response."""

from functools import partial

from personae.data.table_values import ROLE_SPANS
from personae.rollouts.activation_reading import write_activations

main = partial(write_activations, kind="role_responses", spans=ROLE_SPANS)

if __name__ == "__main__":
    from personae.workflow.node import run_model_node

    run_model_node(
        snakemake, main, responses=snakemake.input.responses, path_out=snakemake.output[0]
    )
