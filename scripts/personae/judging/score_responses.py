"""Score the responses of every arm with all judges of a study."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypedDict, Unpack

import pyarrow as pa

from personae.data import tables
from personae.endpoints.runtime import Runtime
from personae.judging.calibration import Calibration
from personae.judging.engine_protocols import JudgeEngine
from personae.judging.judge_factory import JudgingRecord, Panel, SampledJudgeShare, make_panel
from personae.judging.judge_types import JudgeItem, Rubric, Task
from personae.judging.unscored_limit import refuse_unscored
from personae.personas.library import load_labelled

LOG = logging.getLogger("personae")

__all__ = ["Task", "items_of", "judge_table", "load_panel", "write_scores"]


class JudgeNode(TypedDict):
    """Arguments of every node that scores one file of responses.

    ``calibration`` and ``labelled`` are paths; the judges are as in `load_panel`.
    """

    responses: str
    calibration: str
    judging: Mapping[str, Any]
    labelled: str
    path_out: str
    config: Mapping[str, Any]
    engine: JudgeEngine | None
    provenance: dict[str, str]


def write_scores(
    *, kind: str, tasks: Callable[[pa.Table], Sequence[Task]], **node: Unpack[JudgeNode]
) -> None:
    """Score one file of responses with all judges and write the scores. Columns of ``scores``.

    One row per response, rubric and judge. An unscored response keeps its raw text and its reason
    and gets no number.

    Parameters
    ----------
    kind
        Kind of table that the responses are.
    tasks
        Returns the rubrics and the answers to score, given the table of responses.

    Raises
    ------
    PersonaeError
        As in `judge_table`.
    """
    calibration = tables.read(node["calibration"], "calibration")
    panel = load_panel(
        node["judging"], node["engine"], node["labelled"], calibration, node["config"]
    )
    scores = judge_table(panel, tasks(tables.read(node["responses"], kind)))
    tables.write(scores, node["path_out"], "scores", node["provenance"])


def load_panel(
    judging: Mapping[str, Any],
    engine: JudgeEngine | None,
    labelled: str,
    calibration: pa.Table,
    config: Mapping[str, Any],
) -> Panel:
    """Return the judges of a node.

    Parameters
    ----------
    judging
        From `personae.workflow.node_params.judging`.
    engine
        The model server; None where every judge is an endpoint.
    labelled
        Folder of the labelled set, from which the embedding judge takes its examples.
    calibration
        Table of that name.
    config
        Configuration of the run: limits and budget of endpoints.
    """
    return make_panel(
        JudgingRecord.model_validate(judging),
        engine,
        load_labelled(labelled),
        Calibration.from_table(calibration),
        Runtime.of(config),
    )


def items_of(responses: pa.Table) -> list[JudgeItem]:
    """Return the answers of a table of responses, with the token ids saved at generation."""
    names = ("response_id", "question", "response", "response_ids")
    columns = (responses[name].to_pylist() for name in names)
    return [
        JudgeItem(response_id, question, response, tuple(ids))
        for response_id, question, response, ids in zip(*columns, strict=True)
    ]


def judge_table(panel: Panel, tasks: Sequence[Task]) -> pa.Table:
    """Score every task with every judge that supports its rubrics. Columns of ``scores``.

    Raises
    ------
    PersonaeError
        When a judge leaves more unscored than ``judging.max_unscored`` allows. Nothing is written
        then, since later runs would take a table of failures for the result.
    """
    rows = []
    for share in panel.shares:
        verdicts = share.judge.score_tasks(list(_own_tasks(share, tasks)))
        unscored = sum(v.score is None for v in verdicts)
        LOG.info("%s: %d scores, %d unscored", share.judge.name, len(verdicts), unscored)
        refuse_unscored(
            share.judge.name, ((v.rubric, v.reason) for v in verdicts), panel.max_unscored
        )
        rows += [
            {**v._asdict(), "primary": panel.deciding(v.rubric) is share.judge} for v in verdicts
        ]
    return tables.from_rows(rows, "scores")


def _own_tasks(share: SampledJudgeShare, tasks: Sequence[Task]) -> list[Task]:
    """Return the tasks of one judge: the rubrics it supports, and its share of the answers."""
    own: list[tuple[list[Rubric], list[JudgeItem]]] = [
        ([r for r in rubrics if r.kind in share.judge.kinds], share.items(items))
        for rubrics, items in tasks
    ]
    return [(rubrics, items) for rubrics, items in own if rubrics and items]
