"""Draw the cosines between role vectors, less their mean, and with the Assistant Axis.

From ``cosines`` of the axis stage at the middle layer (AA, persona space).
"""

from functools import partial

from personae.report.plots.figure_nodes import plot_table
from personae.report.plots.heat_map import role_cosines

main = partial(plot_table, draw=role_cosines, kind="cosines")

if __name__ == "__main__":
    from personae.workflow.node import run_node

    run_node(
        snakemake,
        main,
        table=snakemake.input[0],
        path_out=snakemake.output[0],
        middle_layer=snakemake.params.middle_layer,
    )
