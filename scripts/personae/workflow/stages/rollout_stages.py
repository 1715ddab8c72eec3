"""The stages that roles and traits have in common: responses, scores, activations."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from personae.workflow.stages.stage import Per, Stage, single

if TYPE_CHECKING:
    from personae.workflow.estimate.node_work import ResponseCount, WorkCounter

    CountResponses = Callable[[WorkCounter, Mapping[str, str]], ResponseCount]
    """Counts the responses of the node with these wildcards."""

    CountOf = Callable[[WorkCounter, Mapping[str, str]], int]
    """Counts rubrics or spans of the node with these wildcards."""


def generates(rule: str, arm: str, per: Per, rows: CountResponses, counted_as: str) -> Stage:
    """Return the stage that generates the responses of personas.

    Parameters
    ----------
    rule, arm, per, counted_as
        As in `Stage` and `Output`.
    rows
        Counts a node's responses, for the estimate.
    """
    kind = responses_of(arm)
    return Stage(
        rule,
        arm,
        "Generate responses",
        per,
        single(kind, report=kind, study_target=True, counted_as=counted_as),
        runs="model",
        work=lambda count, at: count.generate(rows(count, at)),
        group="persona",
    )


def judges(
    rule: str, arm: str, title: str, per: Per, rows: CountResponses, rubrics: CountOf
) -> Stage:
    """Return the stage that scores each of these responses on a number of rubrics."""
    return Stage(
        rule,
        arm,
        title,
        per,
        single("scores", report=f"{arm.removesuffix('s')}_scores"),
        {"responses": responses_of(arm), "calibration": "calibration"},
        runs="judge",
        work=lambda count, at: count.judge(rows(count, at), rubrics(count, at)),
        group="persona",
        group_without_model="persona_judging",
        score_summary=arm,
    )


def extracts(rule: str, arm: str, per: Per, rows: CountResponses, spans: CountOf) -> Stage:
    """Return the stage that extracts mean activations over a number of spans per response.

    Only studies that keep activations have it.
    """
    return Stage(
        rule,
        arm,
        "Extract activations",
        per,
        single("activations", study_target=True),
        {"responses": responses_of(arm)},
        runs="model",
        work=lambda count, at: count.extract(rows(count, at), spans(count, at)),
        group="persona",
        only_if=lambda study: study.keeps_activations,
    )


def responses_of(arm: str) -> str:
    """Return the kind of table that holds the responses of the arm ``roles`` or ``traits``."""
    return f"{arm.removesuffix('s')}_responses"
