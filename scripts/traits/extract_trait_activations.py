"""Extract the activations of one side of a trait: response mean, prompt mean, last prompt token."""

from functools import partial

from personae.data.table_values import TRAIT_SPANS
from personae.rollouts.extraction import write_activations

main = partial(write_activations, kind="trait_responses", spans=TRAIT_SPANS)

if __name__ == "__main__":
    from personae.workflow.node import run_model_node

    run_model_node(
        snakemake, main, responses=snakemake.input.responses, path_out=snakemake.output[0]
    )
