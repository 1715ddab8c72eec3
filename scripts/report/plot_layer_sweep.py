"""Draw trait score and coherence by steered layer, with the chosen layer marked.

From ``steering_effects`` of every trait, scores of the primary judge (PV, layer sweep).
"""

from functools import partial

from personae.report.plots.figure_nodes import plot_effects
from personae.report.plots.steering_figure import layer_sweep

main = partial(plot_effects, draw=layer_sweep, title="Layer sweep")

if __name__ == "__main__":
    from personae.workflow.node import run_node

    run_node(
        snakemake,
        main,
        effects=list(snakemake.input),
        path_out=snakemake.output[0],
        judge=snakemake.params.judge,
        coherence_floor=snakemake.params.coherence_floor,
    )
