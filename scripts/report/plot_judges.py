"""Draw how far the judges agree with the labelled set on held-out questions.

From ``agreement`` and ``confusion``.
"""

from personae.data.data_frames import read_frame
from personae.report.plots.judges_figure import judges
from personae.report.plots.style import save


def main(*, agreement: str, confusion: str, path_out: str, provenance: dict[str, str]) -> None:
    """Write the figure."""
    illustration = judges(read_frame(agreement, "agreement"), read_frame(confusion, "confusion"))
    save(illustration, path_out, provenance)


if __name__ == "__main__":
    from personae.workflow.node import run_node

    run_node(
        snakemake,
        main,
        agreement=snakemake.input.agreement,
        confusion=snakemake.input.confusion,
        path_out=snakemake.output[0],
    )
