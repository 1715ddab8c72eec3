"""Draw persona space: roles on two components with the axis, and cumulative variance.

From ``space_coordinates`` and ``space_components`` at the middle layer (AA, persona space).
"""

from personae.data.data_frames import read_frame
from personae.report.plots.persona_space_figure import persona_space
from personae.report.plots.style import save


def main(
    *,
    coordinates: str,
    components: str,
    path_out: str,
    middle_layer: int,
    variance_threshold: float,
    provenance: dict[str, str],
) -> None:
    """Write the figure."""
    at_layer = [("layer", "==", middle_layer)]
    illustration = persona_space(
        read_frame(coordinates, "space_coordinates", filters=at_layer),
        read_frame(components, "space_components", filters=at_layer),
        middle_layer=middle_layer,
        variance_threshold=variance_threshold,
    )
    save(illustration, path_out, provenance)


if __name__ == "__main__":
    from personae.workflow.node import run_node

    run_node(
        snakemake,
        main,
        coordinates=snakemake.input.coordinates,
        components=snakemake.input.components,
        path_out=snakemake.output[0],
        middle_layer=snakemake.params.middle_layer,
        variance_threshold=snakemake.params.variance_threshold,
    )
