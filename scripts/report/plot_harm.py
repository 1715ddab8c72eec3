"""Draw harmful responses by category, and harm against capability under capping.

From ``harm_rates``, verdicts of the judge that decides on harm (AA, capping evaluation).
"""

from personae.data.data_frames import read_frame
from personae.report.plots.harm_figure import harm
from personae.report.plots.style import save


def main(*, table: str, path_out: str, judge: str, provenance: dict[str, str]) -> None:
    """Write the figure."""
    rows = read_frame(table, "harm_rates", filters=[("judge", "==", judge)])
    save(harm(rows), path_out, provenance)


if __name__ == "__main__":
    from personae.workflow.node import run_node

    run_node(
        snakemake,
        main,
        table=snakemake.input[0],
        path_out=snakemake.output[0],
        judge=snakemake.params.judge,
    )
