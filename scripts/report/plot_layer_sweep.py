"""Draw trait score and coherence by steered layer, with the chosen layer marked.

From ``steering_effects`` of every trait, scores of the primary judge (PV, layer sweep).
"""

from collections.abc import Sequence

from personae.data.data_frames import read_frame
from personae.report.plots.steering_figure import layer_sweep
from personae.report.plots.style import nothing_kept, save


def main(
    *,
    effects: Sequence[str],
    path_out: str,
    judge: str,
    coherence_floor: float,
    provenance: dict[str, str],
) -> None:
    """Write the figure as SVG."""
    table = read_frame(effects, "steering_effects", filters=[("judge", "==", judge)])
    kept = not table.empty
    figure = (
        layer_sweep(table, coherence_floor=coherence_floor) if kept else nothing_kept("Layer sweep")
    )
    save(figure, path_out, provenance)


if __name__ == "__main__":
    from personae.workflow.node import run_node

    run_node(
        snakemake,
        main,
        effects=list(snakemake.input),
        path_out=snakemake.output[0],
        judge=snakemake.params.judge,
        coherence_floor=snakemake.params.coherence_floor,
    )
