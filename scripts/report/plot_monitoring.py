"""Draw the last prompt token's projection against the trait score of the response.

From the tables ``monitoring_points``, ``monitoring`` and ``monitoring_alerts`` of every trait (PV,
monitoring).
"""

from collections.abc import Sequence

from personae.data.data_frames import read_frame
from personae.report.plots.monitoring_figure import monitoring
from personae.report.plots.style import nothing_kept, save


def main(
    *,
    points: Sequence[str],
    correlations: Sequence[str],
    alerts: Sequence[str],
    path_out: str,
    provenance: dict[str, str],
) -> None:
    """Write the figure."""
    shown = read_frame(points, "monitoring_points")
    found = read_frame(correlations, "monitoring")
    alarms = read_frame(alerts, "monitoring_alerts")
    figure = nothing_kept("Monitoring") if shown.empty else monitoring(shown, found, alarms)
    save(figure, path_out, provenance)


if __name__ == "__main__":
    from personae.workflow.node import run_node

    run_node(
        snakemake,
        main,
        points=list(snakemake.input.points),
        correlations=list(snakemake.input.correlations),
        alerts=list(snakemake.input.alerts),
        path_out=snakemake.output[0],
    )
