"""CPU time of a study's nodes, from what they took at the papers' size."""

from __future__ import annotations

from personae.data.table_values import DEFAULT
from personae.workflow.config import Study
from personae.workflow.estimate.node_work import WorkCounter
from personae.workflow.estimate.rates import CpuRates
from personae.workflow.stages.registry import STAGES, nodes


def cpu_seconds(study: Study, model: str, counter: WorkCounter, rates: CpuRates) -> float:
    """Return the CPU seconds of all nodes of a model, without those of models and their servers.

    # ASSUME: nodes of tables take time in proportion to the vectors of the roles: the responses of
    # a role times layers and dimensions, and the number of roles for nodes about all of them.
    """
    row = study.models[model]
    rollouts = counter.role({"model": model, "role": DEFAULT}).number
    of_role = rollouts * row.n_layers * row.hidden_size / (rates.rollouts * rates.vector)
    of_all = of_role * (len(study.role_names) + 1) / rates.roles
    seconds = 0.0
    for rule, stage in STAGES.items():
        if stage.per in ("study", "weights"):
            continue
        number = sum(1 for _ in nodes(stage, study, model))
        share = of_all if stage.per == "model" else of_role
        seconds += number * (rates.node + share * rates.tables.get(rule, 0.0))
    return seconds
