"""Draw who speaks by strength of steering along the Assistant Axis.

From ``speaker_shares``, labels of the judge that decides on them (AA, role susceptibility).
"""

from personae.data.data_frames import read_frame
from personae.report.plots.style import save
from personae.report.plots.susceptibility_figure import susceptibility


def main(*, table: str, path_out: str, judge: str, provenance: dict[str, str]) -> None:
    """Write the figure."""
    rows = read_frame(table, "speaker_shares", filters=[("judge", "==", judge)])
    save(susceptibility(rows), path_out, provenance)


if __name__ == "__main__":
    from personae.workflow.node import run_node

    run_node(
        snakemake,
        main,
        table=snakemake.input[0],
        path_out=snakemake.output[0],
        judge=snakemake.params.judge,
    )
