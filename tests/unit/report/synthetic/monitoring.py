"""Tables of the monitoring stage."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa

from personae.data import tables
from personae.data.table_values import MANY_SHOT, SYSTEM_PROMPT
from personae.science.monitoring import Monitored
from personae.science.monitoring_alerts import alert_rows

from .basics import N_LAYERS, QUESTIONS, TRAITS, Planted

CHOSEN = 4
CONDITIONS = [(SYSTEM_PROMPT, grade) for grade in range(8)] + [(MANY_SHOT, n) for n in (1, 4)]


def monitoring_tables(plan: Planted) -> dict[str, pa.Table]:
    """Scores that follow projections, between conditions and within them, when planted."""
    rng = plan.rng("monitoring")
    result = {}
    for trait in TRAITS:
        rollouts = pd.DataFrame(
            [
                {
                    "response_id": f"{trait}-{kind}-{grade}-{question}-{sample}",
                    "trait": trait,
                    "kind": kind,
                    "grade": grade,
                    "question_id": question,
                }
                for kind, grade in CONDITIONS
                for question in QUESTIONS
                for sample in range(3)
            ]
        )
        noise = rng.normal(0, 1, (len(rollouts), N_LAYERS))
        projections = rollouts.grade.to_numpy()[:, np.newaxis] + noise
        planted = 10 * projections[:, CHOSEN]
        unrelated = 40 + rng.normal(0, 10, len(rollouts))
        scores = plan.effect * planted + (1 - plan.effect) * unrelated
        made = Monitored(
            rollouts, list(range(N_LAYERS)), projections, np.clip(scores, 0, 100), CHOSEN
        )
        result[f"monitoring/{trait}/correlations"] = made.correlation_table()
        result[f"monitoring/{trait}/points"] = made.point_table()
        result[f"monitoring/{trait}/alerts"] = tables.from_rows(
            alert_rows(made, 0.05), "monitoring_alerts"
        )
    return result
