"""Draw the accuracy on capability items with and without capping.

From ``capability_changes`` (AA, capabilities under capping).
"""

from personae.data.data_frames import read_frame
from personae.report.plots.capability_figure import capability
from personae.report.plots.style import save


def main(*, changes: str, path_out: str, provenance: dict[str, str]) -> None:
    """Write the figure."""
    save(capability(read_frame(changes, "capability_changes")), path_out, provenance)


if __name__ == "__main__":
    from personae.workflow.node import run_node

    run_node(snakemake, main, changes=snakemake.input[0], path_out=snakemake.output[0])
