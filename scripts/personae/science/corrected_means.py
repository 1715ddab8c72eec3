"""Judged means of an arm, corrected for the errors that judges make on labelled responses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from personae.data.table_values import SCALES
from personae.science.misclassification import ScoreLine, corrected_for_judge, score_line
from personae.science.resampling import DRAWS, Bootstrap


def judge_lines(labelled: pa.Table, seed: int) -> dict[tuple[str, str], ScoreLine | None]:
    """Return every judge's expected score as a line in the label, by judge and rubric."""
    groups: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for row in labelled.to_pylist():
        if row["score"] is not None:
            groups.setdefault((row["judge"], row["rubric"]), []).append(row)
    plan = Bootstrap(DRAWS, seed)
    return {key: _line(members, plan) for key, members in groups.items()}


def _line(members: Sequence[Mapping[str, Any]], plan: Bootstrap) -> ScoreLine | None:
    scores, labels, questions = ([m[n] for m in members] for n in ("score", "label", "question"))
    return score_line(scores, labels, questions, plan)


def corrected_rows(
    summary: list[dict[str, Any]],
    judged: Sequence[pa.Table],
    lines: Mapping[tuple[str, str], ScoreLine | None],
    seed: int,
) -> list[dict[str, Any]]:
    """Add to every row of one arm its mean corrected for the judge's errors."""
    scores: dict[tuple[str, str, str], list[float]] = {}
    for table in judged:
        for row in table.select(["judge", "rubric", "target", "score"]).to_pylist():
            if row["score"] is not None:
                key = (row["judge"], row["rubric"], row["target"])
                scores.setdefault(key, []).append(row["score"])
    made = []
    for row in summary:
        values = scores.get((row["judge"], row["rubric"], row["target"]), [])
        line = lines.get((row["judge"], row["rubric"]))
        found = corrected_for_judge(values, line, SCALES[row["rubric"]], seed)
        made.append(
            row
            | {
                "corrected": found.estimate,
                "corrected_low": found.low,
                "corrected_high": found.high,
            }
        )
    return made
