"""Draw the projection of every turn of every conversation on the Assistant Axis.

From ``drift_projections`` and ``drift_summary`` at the middle layer (AA, persona drift).
"""

from personae.data.data_frames import read_frame
from personae.report.plots.drift_figure import drift
from personae.report.plots.style import save


def main(
    *,
    projections: str,
    summary: str,
    path_out: str,
    middle_layer: int,
    provenance: dict[str, str],
) -> None:
    """Write the figure."""
    along_axis = [("direction", "==", "axis"), ("layer", "==", middle_layer)]
    illustration = drift(
        read_frame(projections, "drift_projections", filters=along_axis),
        read_frame(summary, "drift_summary"),
        middle_layer=middle_layer,
    )
    save(illustration, path_out, provenance)


if __name__ == "__main__":
    from personae.workflow.node import run_node

    run_node(
        snakemake,
        main,
        projections=snakemake.input.projections,
        summary=snakemake.input.summary,
        path_out=snakemake.output[0],
        middle_layer=snakemake.params.middle_layer,
    )
