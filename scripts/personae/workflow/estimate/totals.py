"""Add up the work of nodes to the cost of a study, and divide nodes among allocations."""

from __future__ import annotations

import math
from collections.abc import Container, Iterable, Iterator, Mapping
from typing import NamedTuple

from personae.data.table_values import DEFAULT
from personae.endpoints.endpoint_settings import Endpoint
from personae.workflow.config import Study
from personae.workflow.estimate.cpu_time import cpu_seconds
from personae.workflow.estimate.disk import DiskUse, disk_use
from personae.workflow.estimate.node_work import NodeWork, WorkCounter
from personae.workflow.estimate.rates import ModelSpeed, Rates, load_rates, speed
from personae.workflow.stages.registry import STAGES, nodes
from personae.workflow.stages.stage import Stage

NODE_SECONDS = 3.0
"""Seconds to start a node, and to read and write its tables; measured on two CPU cores."""

TABLE_SECONDS = 300.0
"""Seconds assumed for a node that needs neither a model nor a judge."""

_API_SECONDS = 1.5  # of one verdict or user message, with `concurrency` of them at a time


class ModelEstimate(NamedTuple):
    """The cost of one model of a study."""

    model: str
    nodes: int
    table_nodes: int
    judging_hours: float
    cpu_hours: float
    responses: int
    generated: float
    hours: float
    gpus: int
    verdicts: int
    judge_tokens: float
    verdict_tokens: float
    disk: DiskUse
    speed: ModelSpeed
    group: int
    allocations: int
    messages: int
    auditor_read: float
    auditor_written: float

    @property
    def gpu_hours(self) -> float:
        """Hours of a model's copy, times its GPUs."""
        return self.hours * self.gpus


class Estimate(NamedTuple):
    """The cost of a study by model; dollars are None if no price is known.

    ``dollars`` are those of the judges, ``auditor_dollars`` those of the endpoint that plays the
    user; ``auditor`` is None if there is none.
    """

    models: list[ModelEstimate]
    dollars: float | None
    judge: str
    auditor: str | None = None
    auditor_dollars: float | None = 0.0


def node_seconds(
    study: Study, rule: str, wildcards: Mapping[str, str], rates: Rates | None = None
) -> float:
    """Return the time that a node of a model is expected to take, without loading the model."""
    model = wildcards["model"]
    counter = _counter(id(study), model, study, rates or load_rates(study.base / _RATES))
    work = counter.node(rule, wildcards)
    if work is None:
        return TABLE_SECONDS
    return _seconds(work, study, counter.rates, model)


_RATES = "config/rates.yaml"
_counters: dict[tuple[int, str], WorkCounter] = {}


def _counter(key: int, model: str, study: Study, rates: Rates) -> WorkCounter:
    return _counters.setdefault((key, model), WorkCounter(study, model, rates))


def _seconds(work: NodeWork, study: Study, rates: Rates, model: str) -> float:
    fast = speed(model, study.models[model], rates)
    seconds = NODE_SECONDS + work.generated / fast.generate + work.read / fast.read
    for name, share in study.chat_judges.items():
        asked = share * work.verdicts if work.judge_tokens else 0.0
        seconds += asked * _API_SECONDS / study.config.endpoints[name].concurrency
    if auditor := study.auditor:
        # The messages of a turn are requested together, and the model waits for all of them.
        seconds += work.messages * _API_SECONDS / auditor.concurrency
    return seconds


def estimate_study(
    study: Study, rates: Rates | None = None, left: Container[str] | None = None
) -> Estimate:
    """Return what a study costs, or what is left of it.

    Parameters
    ----------
    study
        The study.
    rates
        Rates of models and prices; those of ``config/rates.yaml`` by default.
    left
        Keys of the nodes that are counted, see `node_key`; all by default. The disk is that of the
        whole study.
    """
    rates = rates or load_rates(study.base / _RATES)
    models = [_model(study, model, rates, left) for model in study.model_names]
    found = Estimate(models, 0.0, study.config.judging.primary)
    if study.chat_judges:
        named = ", ".join(study.config.endpoints[name].model for name in study.chat_judges)
        found = found._replace(dollars=_judges_cost(study, models, rates), judge=named)
    if auditor := study.auditor:
        read = sum(model.auditor_read for model in models)
        written = sum(model.auditor_written for model in models)
        cost = _dollars(auditor, read, written, rates)
        found = found._replace(auditor=auditor.model, auditor_dollars=cost)
    return found


def _judges_cost(study: Study, models: list[ModelEstimate], rates: Rates) -> float | None:
    dollars = 0.0
    for name, share in study.chat_judges.items():
        read = share * sum(model.judge_tokens for model in models)
        written = share * sum(model.verdict_tokens for model in models)
        cost = _dollars(study.config.endpoints[name], read, written, rates)
        if cost is None:
            return None
        dollars += cost
    return dollars


def _dollars(endpoint: Endpoint, read: float, written: float, rates: Rates) -> float | None:
    """Return what tokens cost at an endpoint, by the study's prices or else the table's."""
    listed = rates.judges.get(endpoint.model)
    price_in = endpoint.price_in if listed is None else listed.input
    price_out = endpoint.price_out if listed is None else listed.output
    if endpoint.price_in is not None and endpoint.price_out is not None:
        price_in, price_out = endpoint.price_in, endpoint.price_out
    if price_in is None or price_out is None:
        return None
    return (read * price_in + written * price_out) / 1e6


def node_key(rule: str, wildcards: Mapping[str, str]) -> str:
    """Return the key of a node of a study: its rule and wildcards."""
    named = " ".join(f"{k}={v}" for k, v in sorted(wildcards.items()) if k != "study")
    return f"{rule} {named}"


def _model(study: Study, model: str, rates: Rates, left: Container[str] | None) -> ModelEstimate:
    row, counter = study.models[model], WorkCounter(study, model, rates)
    fast = speed(model, row, rates)
    seconds = judging = 0.0
    totals, asking = NodeWork(), list(nodes_of(study, model))
    works = [counter.node(stage.rule, at) or NodeWork() for stage, at in asking]
    counted = [i for i, (stage, at) in enumerate(asking) if _is_left(stage, at, left)]
    for (stage, _), work in ((asking[i], works[i]) for i in counted):
        totals = totals.plus(work)
        taken = _seconds(work, study, rates, model)
        if study.config.judging.needs_model or stage.runs != "judge":
            seconds += taken
        else:
            judging += taken
    verdict_tokens = totals.verdicts * rates.judge_verdict if totals.judge_tokens else 0.0
    return ModelEstimate(
        model=model,
        nodes=len(counted),
        table_nodes=_count(study, model, left) - len(counted),
        judging_hours=judging / 3600,
        cpu_hours=cpu_seconds(study, model, counter, rates.cpu) / 3600,
        responses=totals.responses,
        generated=totals.generated,
        hours=seconds / 3600,
        gpus=row.gpus,
        verdicts=totals.verdicts,
        judge_tokens=totals.judge_tokens,
        verdict_tokens=verdict_tokens,
        disk=disk_use(study, model, counter, works),
        speed=fast,
        group=(group := _group(study, model, counter, rates, fast)),
        allocations=_allocations([asking[i] for i in counted], study, group),
        messages=totals.messages,
        auditor_read=totals.auditor_read,
        auditor_written=totals.auditor_written,
    )


def _allocations(asking: Iterable[tuple[Stage, dict[str, str]]], study: Study, group: int) -> int:
    """Return how many batch jobs of these nodes load the model, with groups of that size."""
    needs_model = study.config.judging.needs_model
    personas: dict[str, set[tuple[str, ...]]] = {}
    for stage, wildcards in asking:
        if stage.needs_model(study):
            group_name = stage.group_of(needs_model, not study.keeps_activations)
            # A node without a group is a batch job of its own.
            job = group_name or f"{stage.rule} {sorted(wildcards.items())}"
            personas.setdefault(job, set()).add(tuple(wildcards.values()))
    return sum(math.ceil(len(members) / group) for members in personas.values())


def _group(study: Study, model: str, counter: WorkCounter, rates: Rates, fast: ModelSpeed) -> int:
    """Return how many personas fill an allocation.

    As many as work for the hours that an allocation should last, and enough of them that loading
    the model is a twentieth of the time at most.
    """
    wildcards = {"model": model, "role": DEFAULT}
    persona = sum(
        _seconds(work, study, rates, model)
        for rule, stage in STAGES.items()
        if stage.arm == "roles"
        and stage.per in ("role", "played role")
        and (work := counter.node(rule, wildcards))
    )
    wished = math.floor(3600 * rates.allocation_hours / persona)
    fewest = math.ceil(20 * fast.load_seconds / persona)
    return max(1, min(max(wished, fewest), len(study.role_names) + 1))


def nodes_of(study: Study, model: str) -> Iterator[tuple[Stage, dict[str, str]]]:
    """Yield stage and wildcards of every node of a model that needs it, or a judge."""
    for stage, wildcards in all_nodes(study, model):
        if stage.needs_model(study) or (stage.runs == "judge" and stage.work is not None):
            yield stage, wildcards


def all_nodes(study: Study, model: str) -> Iterator[tuple[Stage, dict[str, str]]]:
    """Yield stage and wildcards of every node of a model."""
    for stage in STAGES.values():
        if stage.per not in ("study", "weights", "drafted trait"):
            yield from ((stage, wildcards) for wildcards in nodes(stage, study, model))


def _count(study: Study, model: str, left: Container[str] | None) -> int:
    return sum(_is_left(stage, at, left) for stage, at in all_nodes(study, model))


def _is_left(stage: Stage, wildcards: Mapping[str, str], left: Container[str] | None) -> bool:
    return left is None or node_key(stage.rule, wildcards) in left
