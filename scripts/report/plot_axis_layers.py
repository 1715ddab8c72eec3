"""Draw |cos(axis, PC 1)| at every layer with interval and null, and the space's dimension.

From ``space_layers`` (AA, persona space).
"""

from functools import partial

from personae.report.plots.axis_figure import axis_layers
from personae.report.plots.figure_nodes import plot_table

main = partial(plot_table, draw=axis_layers, kind="space_layers")

if __name__ == "__main__":
    from personae.workflow.node import run_node

    run_node(
        snakemake,
        main,
        table=snakemake.input[0],
        path_out=snakemake.output[0],
        middle_layer=snakemake.params.middle_layer,
    )
