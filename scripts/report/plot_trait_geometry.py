"""Draw the cosines between trait vectors, and with the Assistant Axis at every layer.

From ``cosines`` of the traits stage (PV, geometry).
"""

from functools import partial

from personae.report.plots.figure_nodes import plot_table
from personae.report.plots.heat_map import trait_geometry

main = partial(plot_table, draw=trait_geometry, kind="cosines")

if __name__ == "__main__":
    from personae.workflow.node import run_node

    run_node(
        snakemake,
        main,
        table=snakemake.input[0],
        path_out=snakemake.output[0],
        middle_layer=snakemake.params.middle_layer,
    )
