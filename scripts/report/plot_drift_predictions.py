"""Draw how well the user's message predicts the next turn.

From ``drift_predictions``, at the middle layer (AA, persona drift).
"""

from personae.data.data_frames import read_frame
from personae.report.plots.drift_prediction_figure import drift_predictions
from personae.report.plots.style import save


def main(*, table: str, path_out: str, provenance: dict[str, str]) -> None:
    """Write the figure."""
    save(drift_predictions(read_frame(table, "drift_predictions")), path_out, provenance)


if __name__ == "__main__":
    from personae.workflow.node import run_node

    run_node(snakemake, main, table=snakemake.input[0], path_out=snakemake.output[0])
