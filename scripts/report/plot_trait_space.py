"""Draw the trait space against the Assistant Axis.

From the three ``trait_space`` tables of `compare_trait_space` (AA, trait space).
"""

from personae.data.data_frames import read_frame
from personae.report.plots.style import nothing_kept, save
from personae.report.plots.trait_space_figure import trait_space


def main(
    *, cosines: str, components: str, plane: str, path_out: str, provenance: dict[str, str]
) -> None:
    """Write the figure."""
    along = read_frame(cosines, "trait_space_cosines")
    if along.empty:
        save(nothing_kept("Trait space and the Assistant Axis"), path_out, provenance)
        return
    drawn = trait_space(
        along,
        read_frame(components, "trait_space_components"),
        read_frame(plane, "trait_space_plane"),
    )
    save(drawn, path_out, provenance)


if __name__ == "__main__":
    from personae.workflow.node import run_node

    run_node(
        snakemake,
        main,
        cosines=snakemake.input.cosines,
        components=snakemake.input.components,
        plane=snakemake.input.plane,
        path_out=snakemake.output[0],
    )
