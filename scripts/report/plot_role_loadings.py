"""Draw the loadings of roles on the leading components of persona space.

From ``role_loadings``, at the middle layer (AA, persona space).
"""

from personae.data.data_frames import read_frame
from personae.report.plots.role_loadings_figure import role_loadings
from personae.report.plots.style import save


def main(*, table: str, path_out: str, provenance: dict[str, str]) -> None:
    """Write the figure."""
    save(role_loadings(read_frame(table, "role_loadings")), path_out, provenance)


if __name__ == "__main__":
    from personae.workflow.node import run_node

    run_node(snakemake, main, table=snakemake.input[0], path_out=snakemake.output[0])
