"""Draw |cos(axis, PC 1)| at every layer with interval and null, and the space's dimension.

From ``space_layers`` (AA, persona space).
"""

from personae.data.data_frames import read_frame
from personae.report.plots.axis_figure import axis_layers
from personae.report.plots.style import save


def main(*, layers: str, path_out: str, middle_layer: int, provenance: dict[str, str]) -> None:
    """Write the figure as SVG."""
    illustration = axis_layers(read_frame(layers, "space_layers"), middle_layer=middle_layer)
    save(illustration, path_out, provenance)


if __name__ == "__main__":
    from personae.workflow.node import run_node

    run_node(
        snakemake,
        main,
        layers=snakemake.input[0],
        path_out=snakemake.output[0],
        middle_layer=snakemake.params.middle_layer,
    )
