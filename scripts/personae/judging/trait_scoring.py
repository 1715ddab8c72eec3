"""Score responses on a trait and on coherence: what all nodes do that judge a trait."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from personae.data import tables
from personae.judging.engine_protocols import JudgeEngine
from personae.judging.judge_types import coherence_rubric, trait_rubric
from personae.judging.score_responses import items_of, judge_table, load_panel


def score_trait(
    *,
    kind: str,
    responses: str,
    calibration: str,
    trait: Mapping[str, str],
    judging: Mapping[str, Any],
    labelled: str,
    path_out: str,
    config: Mapping[str, Any],
    engine: JudgeEngine | None,
    provenance: dict[str, str],
) -> None:
    """Write trait score and coherence, both 0-100, of every response (PV, judge).

    One row per response, rubric and judge. An unscored response keeps its raw text and its reason
    and gets no number. Columns: those of ``scores``.

    Parameters
    ----------
    kind
        Kind of table that ``responses`` is.
    trait
        What judges know of the trait, from `personae.workflow.node_params.judged_trait`.
    judging, engine, labelled, calibration, config
        The judges, as `load_panel` takes them; ``calibration`` is a file here.

    Raises
    ------
    PersonaeError
        When a judge leaves more unscored than ``judging.max_unscored`` allows.
    """
    panel = load_panel(judging, engine, labelled, tables.read(calibration, "calibration"), config)
    items = items_of(tables.read(responses, kind))
    scores = judge_table(panel, [([trait_rubric(trait), coherence_rubric()], items)])
    tables.write(scores, path_out, "scores", provenance)
