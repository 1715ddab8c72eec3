"""Draw the trade-off of activation capping: persona held back against capability lost.

From ``capping_tradeoff``: every band and percentile, along the axis and along random directions;
scores of the primary judge (AA, evaluation of capping).
"""

from personae.data.data_frames import read_frame
from personae.report.plots.capping_figure import tradeoff
from personae.report.plots.style import save


def main(*, table: str, path_out: str, judge: str, provenance: dict[str, str]) -> None:
    """Write the figure; measures that need no judge have an empty ``judge``."""
    rows = read_frame(table, "capping_tradeoff", filters=[("judge", "in", [judge, ""])])
    save(tradeoff(rows), path_out, provenance)


if __name__ == "__main__":
    from personae.workflow.node import run_node

    run_node(
        snakemake,
        main,
        table=snakemake.input[0],
        path_out=snakemake.output[0],
        judge=snakemake.params.judge,
    )
