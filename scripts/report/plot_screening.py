"""Draw the projection differences of training data, from ``screening`` (PV, data screening)."""

from personae.data.data_frames import read_frame
from personae.report.plots.screening_figure import screening
from personae.report.plots.style import nothing_kept, save


def main(*, summary: str, path_out: str, provenance: dict[str, str]) -> None:
    """Write the figure."""
    table = read_frame(summary, "screening")
    figure = nothing_kept("Screening training data") if table.empty else screening(table)
    save(figure, path_out, provenance)


if __name__ == "__main__":
    from personae.workflow.node import run_node

    run_node(snakemake, main, summary=snakemake.input.summary, path_out=snakemake.output[0])
