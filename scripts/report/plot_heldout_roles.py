"""Draw how well an axis that was computed without a role tells this role from the default.

From ``heldout_roles``, on held-out questions at the middle layer.
"""

from personae.data.data_frames import read_frame
from personae.report.plots.heldout_roles_figure import heldout_roles
from personae.report.plots.style import save


def main(*, table: str, path_out: str, provenance: dict[str, str]) -> None:
    """Write the figure."""
    save(heldout_roles(read_frame(table, "heldout_roles")), path_out, provenance)


if __name__ == "__main__":
    from personae.workflow.node import run_node

    run_node(snakemake, main, table=snakemake.input[0], path_out=snakemake.output[0])
