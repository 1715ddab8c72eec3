"""Draw the cosines between role vectors, less their mean, and with the Assistant Axis.

From ``cosines`` of the axis stage at the middle layer (AA, persona space).
"""

from personae.data.data_frames import read_frame
from personae.report.plots.heat_map import role_cosines
from personae.report.plots.style import save


def main(*, cosines: str, path_out: str, middle_layer: int, provenance: dict[str, str]) -> None:
    """Write the figure as SVG."""
    illustration = role_cosines(read_frame(cosines, "cosines"), middle_layer=middle_layer)
    save(illustration, path_out, provenance)


if __name__ == "__main__":
    from personae.workflow.node import run_node

    run_node(
        snakemake,
        main,
        cosines=snakemake.input[0],
        path_out=snakemake.output[0],
        middle_layer=snakemake.params.middle_layer,
    )
