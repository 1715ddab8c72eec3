"""Extract the activations of one side of a trait: means over the spans that the study uses."""

from functools import partial

from personae.rollouts.activation_reading import write_activations

main = partial(write_activations, kind="trait_responses")

if __name__ == "__main__":
    from personae.workflow.node import run_model_node

    run_model_node(
        snakemake,
        main,
        spans=list(snakemake.params.spans),
        responses=snakemake.input.responses,
        path_out=snakemake.output[0],
    )
