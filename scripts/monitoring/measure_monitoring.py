"""Correlate the last prompt token's projection with the trait score of the response.

At every layer, pooled and within conditions, with intervals over questions; the layer that the
sweep chose is marked (PV, monitoring). Unscored responses are counted. Tables: ``monitoring`` and
``monitoring_points``.
"""

from collections.abc import Mapping

from personae.data import tables
from personae.data.judge_scores import primary_scores, read_scores
from personae.science.monitoring import Monitored
from personae.science.monitoring_alerts import alert_rows
from personae.science.steering_arms import chosen_layer


def main(
    *,
    responses: str,
    scores: str,
    projections: str,
    layer: str,
    paths_out: Mapping[str, str],
    max_unscored: float,
    false_alarms: float,
    provenance: dict[str, str],
) -> None:
    """Write one row per layer and kind of condition, and one per rollout at the chosen layer."""
    judged = primary_scores(read_scores(scores, "trait", max_unscored), "trait")
    projected = tables.read(projections, "prompt_projections")
    if not projected.num_rows:  # the filter dropped the trait
        for name, path in paths_out.items():
            tables.write(tables.from_rows([], name), path, name, provenance)
        return
    monitored = Monitored.join(
        tables.read(responses, "monitored_responses"),
        projected,
        judged,
        chosen_layer(tables.read(layer, "steering_effects")),
    )
    made = {
        "monitoring": monitored.correlation_table(),
        "monitoring_points": monitored.point_table(),
        "monitoring_alerts": tables.from_rows(
            alert_rows(monitored, false_alarms), "monitoring_alerts"
        ),
    }
    for name, table in made.items():
        tables.write(table, paths_out[name], name, provenance)


if __name__ == "__main__":
    from personae.workflow.node import run_node

    run_node(
        snakemake,
        main,
        responses=snakemake.input.responses,
        scores=snakemake.input.scores,
        projections=snakemake.input.projections,
        layer=snakemake.input.layer,
        paths_out={
            "monitoring": snakemake.output.correlations,
            "monitoring_points": snakemake.output.points,
            "monitoring_alerts": snakemake.output.alerts,
        },
        false_alarms=snakemake.params.false_alarms,
        max_unscored=snakemake.params.max_unscored,
    )
