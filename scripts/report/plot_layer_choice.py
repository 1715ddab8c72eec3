"""Draw how firm the choice of each trait's layer is, from ``layer_choices`` (PV, layers)."""

from collections.abc import Sequence

from personae.data.data_frames import read_frame
from personae.report.plots.layer_choice_figure import layer_choice
from personae.report.plots.style import nothing_kept, save


def main(*, tables: Sequence[str], path_out: str, provenance: dict[str, str]) -> None:
    """Write the figure."""
    rows = read_frame(tables, "layer_choices")
    save(
        nothing_kept("Choice of the layer") if rows.empty else layer_choice(rows),
        path_out,
        provenance,
    )


if __name__ == "__main__":
    from personae.workflow.node import run_node

    run_node(snakemake, main, tables=list(snakemake.input), path_out=snakemake.output[0])
