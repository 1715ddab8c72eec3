"""Draw ways of steering and their side effects, from ``steering_comparison`` (PV, steering)."""

from personae.data.data_frames import read_frame
from personae.report.plots.comparison_figure import comparison
from personae.report.plots.style import nothing_kept, save


def main(*, table: str, path_out: str, provenance: dict[str, str]) -> None:
    """Write the figure."""
    rows = read_frame(table, "steering_comparison")
    figure = nothing_kept("Ways of steering compared") if rows.empty else comparison(rows)
    save(figure, path_out, provenance)


if __name__ == "__main__":
    from personae.workflow.node import run_node

    run_node(snakemake, main, table=snakemake.input[0], path_out=snakemake.output[0])
