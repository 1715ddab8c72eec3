"""Draw the tokens that vectors raise and lower, from ``vector_tokens`` (PV, interpretation)."""

from personae.data.data_frames import read_frame
from personae.report.plots.style import save
from personae.report.plots.tokens_figure import tokens


def main(*, table: str, path_out: str, provenance: dict[str, str]) -> None:
    """Write the figure."""
    save(tokens(read_frame(table, "vector_tokens")), path_out, provenance)


if __name__ == "__main__":
    from personae.workflow.node import run_node

    run_node(snakemake, main, table=snakemake.input[0], path_out=snakemake.output[0])
