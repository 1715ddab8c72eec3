"""CPU time of a study's nodes, from what they took at the papers' size."""

from __future__ import annotations

from personae.data.table_values import DEFAULT
from personae.workflow.config import Study
from personae.workflow.estimate.node_work import WorkCounter
from personae.workflow.estimate.rates import CpuRates
from personae.workflow.stages.registry import STAGES, nodes


def cpu_seconds(study: Study, model: str, counter: WorkCounter, rates: CpuRates) -> float:
    """Return the CPU seconds of all nodes of a model, without those of models and their servers.

    # ASSUME: nodes of tables take time in proportion to a role's responses times the layers, some
    # also times the dimensions; nodes about all roles also in proportion to their number.
    """
    row = study.models[model]
    rollouts = counter.role({"model": model, "role": DEFAULT}).number / rates.rollouts
    layers, hidden = row.n_layers / rates.layers, row.hidden_size / rates.hidden
    roles = (len(study.role_names) + 1) / rates.roles
    seconds = 0.0
    for rule, stage in STAGES.items():
        if stage.per in ("study", "weights"):
            continue
        number = sum(1 for _ in nodes(stage, study, model))
        own = rates.by_layers.get(rule, 0.0) + hidden * rates.by_values.get(rule, 0.0)
        share = rollouts * layers * (roles if stage.per == "model" else 1.0)
        seconds += number * (rates.node + share * own)
    return seconds
