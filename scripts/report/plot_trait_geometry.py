"""Draw the cosines between trait vectors, and with the Assistant Axis at every layer.

From ``cosines`` of the traits stage (PV, geometry).
"""

from personae.data.data_frames import read_frame
from personae.report.plots.heat_map import trait_geometry
from personae.report.plots.style import save


def main(*, cosines: str, path_out: str, middle_layer: int, provenance: dict[str, str]) -> None:
    """Write the figure as SVG."""
    illustration = trait_geometry(read_frame(cosines, "cosines"), middle_layer=middle_layer)
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
