"""Draw how well a projection on the axis tells the default Assistant from the roles.

From ``separation`` at all layers and ``projections`` of every role and the default at the middle
layer, on held-out questions.
"""

from collections.abc import Sequence

from personae.data.data_frames import read_frame
from personae.report.plots.separation_figure import separation
from personae.report.plots.style import save


def main(
    *,
    aucs: str,
    projections: Sequence[str],
    path_out: str,
    middle_layer: int,
    provenance: dict[str, str],
) -> None:
    """Write the figure."""
    along_axis = [("direction", "==", "axis"), ("layer", "==", middle_layer)]
    illustration = separation(
        read_frame(aucs, "separation"),
        read_frame(projections, "projections", filters=along_axis),
        middle_layer=middle_layer,
    )
    save(illustration, path_out, provenance)


if __name__ == "__main__":
    from personae.workflow.node import run_node

    run_node(
        snakemake,
        main,
        aucs=snakemake.input.separation,
        projections=list(snakemake.input.projections),
        path_out=snakemake.output[0],
        middle_layer=snakemake.params.middle_layer,
    )
