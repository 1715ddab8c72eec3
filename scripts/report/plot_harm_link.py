"""Draw the harm of the second turn against the first turn's projection on the axis.

From ``harm_link_points`` and ``harm_link``, verdicts of the judge that decides on harm (AA, persona
drift: harm link).
"""

from personae.data.data_frames import read_frame
from personae.report.plots.harm_link_figure import harm_link
from personae.report.plots.style import save


def main(*, points: str, link: str, path_out: str, judge: str, provenance: dict[str, str]) -> None:
    """Write the figure as SVG."""
    of_judge = [("judge", "==", judge)]
    drawn = harm_link(
        read_frame(points, "harm_link_points", filters=of_judge),
        read_frame(link, "harm_link", filters=of_judge),
    )
    save(drawn, path_out, provenance)


if __name__ == "__main__":
    from personae.workflow.node import run_node

    run_node(
        snakemake,
        main,
        points=snakemake.input.points,
        link=snakemake.input.link,
        path_out=snakemake.output[0],
        judge=snakemake.params.judge,
    )
