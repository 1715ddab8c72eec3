"""Draw trait score and coherence against the coefficient, trait vector against random.

From ``steering_effects`` of every trait, scores of the primary judge (PV, steering).
"""

from functools import partial

from personae.report.plots.figure_nodes import plot_effects
from personae.report.plots.steering_figure import steering

main = partial(plot_effects, draw=steering, title="Steering")

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
