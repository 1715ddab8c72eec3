"""Draw shifts against changes of traits, and what defences in training cost.

From ``finetuning_shifts``, ``finetuning_correlations`` and ``finetuning_defences`` of the primary
judge (PV, fine-tuning shift).
"""

from personae.data.data_frames import read_frame
from personae.report.plots.finetuning_figure import finetuning
from personae.report.plots.style import nothing_kept, save


def main(
    *,
    shifts: str,
    correlations: str,
    defences: str,
    path_out: str,
    provenance: dict[str, str],
) -> None:
    """Write the figure."""
    moved = read_frame(shifts, "finetuning_shifts")
    found = read_frame(correlations, "finetuning_correlations")
    costs = read_frame(defences, "finetuning_defences")
    figure = nothing_kept("Fine-tuning") if moved.empty else finetuning(moved, found, costs)
    save(figure, path_out, provenance)


if __name__ == "__main__":
    from personae.workflow.node import run_node

    run_node(
        snakemake,
        main,
        shifts=snakemake.input.shifts,
        correlations=snakemake.input.correlations,
        defences=snakemake.input.defences,
        path_out=snakemake.output[0],
    )
