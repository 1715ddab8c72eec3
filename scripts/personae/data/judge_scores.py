"""Read judge scores by judge and rubric; unscored responses stay visible.

An unscored response is NaN here, never a number and never dropped.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

import pyarrow as pa

from personae.base.errors import PersonaeError
from personae.data import tables
from personae.data.table_values import SCALES

Scores = dict[str, float]
Row = Mapping[str, Any]
_Key = TypeVar("_Key", bound=Hashable)


def scores_by_judge(table: pa.Table, rubric: str) -> dict[str, Scores]:
    """Return ``judge -> response_id -> score`` of one rubric, NaN where unscored."""
    judged: dict[str, Scores] = {}
    names = ("judge", "rubric", "response_id", "score")
    for judge, kind, response_id, score in zip(
        *(table[name].to_pylist() for name in names), strict=True
    ):
        if kind == rubric:
            judged.setdefault(judge, {})[response_id] = math.nan if score is None else score
    return judged


def primary_scores(table: pa.Table, rubric: str) -> Scores:
    """Return ``response_id -> score`` of the primary judge, whose scores decide what is kept.

    A table without rows has none: nothing was generated for a trait that was dropped.

    Raises
    ------
    PersonaeError
        When the table holds no score of the primary judge on this rubric.
    """
    if not table.num_rows:
        return {}
    primary = scores_by_judge(table.filter(table["primary"]), rubric)
    if len(primary) != 1:
        raise PersonaeError(
            f"scores on rubric {rubric!r} name {len(primary)} primary judges; exactly 1 is expected"
        )
    return next(iter(primary.values()))


def primary_judge(table: pa.Table) -> str:
    """Return the name of the primary judge of a table ``scores``; empty for one without rows."""
    names = table.filter(table["primary"])["judge"].unique().to_pylist()
    return str(names[0]) if names else ""


def check_unscored(scores: Mapping[str, float], most: float, place: str) -> None:
    """Raise an error when more than the share ``most`` of responses is unscored.

    Raises
    ------
    PersonaeError
        With the place, the count and the key to change.
    """
    missing = sum(math.isnan(score) for score in scores.values())
    if missing > most * len(scores):
        raise PersonaeError(
            f"{place}: {missing} of {len(scores)} responses are unscored, more than "
            f"judging.max_unscored = {most:g} allows; see the reasons in its column 'reason'"
        )


def read_scores(path: str, rubric: str, most: float) -> pa.Table:
    """Read a table ``scores`` that may leave the share ``most`` of responses unscored.

    The primary judge's scores on ``rubric`` are counted, as in `check_unscored`.

    Raises
    ------
    PersonaeError
        When more is unscored, or the primary judge scored nothing on the rubric.
    """
    table = tables.read(path, "scores")
    check_unscored(primary_scores(table, rubric), most, path)
    return table


def judged_members(
    arms: Mapping[_Key, Sequence[Row]], scores: Mapping[str, float]
) -> dict[_Key, list[Row]]:
    """Return the responses of each arm that a judge was asked about; arms without any are left out.

    A judge on a sample leaves most responses aside: they are not unscored, they were never judged.
    """
    kept = {arm: [r for r in rows if r["response_id"] in scores] for arm, rows in arms.items()}
    return {arm: rows for arm, rows in kept.items() if rows}


def in_order(scores: Mapping[str, float], response_ids: Iterable[str]) -> list[float]:
    """Return the scores of ``response_ids`` in their order, NaN for a response never judged."""
    return [scores.get(response_id, math.nan) for response_id in response_ids]


def summary_rows(scores: Sequence[pa.Table], arm: str) -> list[dict[str, Any]]:
    """Return how much every judge scored and left unscored. Columns of ``score_summary``.

    Parameters
    ----------
    scores
        Tables ``scores`` of one arm.
    arm
        Its name.
    """
    groups: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    names = ["judge", "rubric", "target", "mode", "score", "reason"]
    for table in scores:
        for row in table.select(names).to_pylist():
            groups.setdefault(tuple(row[name] for name in names[:3]), []).append(row)
    return [
        {"judge": judge, "rubric": rubric, "target": target, "arm": arm, **_summary(rubric, rows)}
        for (judge, rubric, target), rows in groups.items()
    ]


def _summary(rubric: str, rows: Sequence[Row]) -> dict[str, Any]:
    scored = [row["score"] for row in rows if row["score"] is not None]
    reasons = Counter(str(row["reason"]) for row in rows if row["score"] is None)
    missing, (low, high) = reasons.total(), SCALES[rubric]
    # Unscored responses are requested in the mode of the others, if not always parsed in it.
    modes = Counter(str(row["mode"]) for row in rows)
    return {
        "mode": modes.most_common(1)[0][0],
        "n": len(scored),
        "n_unscored": missing,
        "reasons": ", ".join(f"{reason} {n}" for reason, n in reasons.most_common()),
        "mean": sum(scored) / len(scored) if scored else math.nan,
        "if_lowest": (sum(scored) + missing * low) / len(rows),
        "if_highest": (sum(scored) + missing * high) / len(rows),
    }
