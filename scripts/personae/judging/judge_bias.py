"""Biases of judges: the length of an answer, and its position in the prompt."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from personae.data.table_values import SCALES
from personae.judging.agreement import area_under_curve, spearman
from personae.science.resampling import DRAWS, Bootstrap, Interval, bootstrap_mean
from personae.science.score_levels import HIGH

Record = dict[str, Any]


def bias_rows(
    scored: Sequence[Record], reordered: Sequence[Record], across: Sequence[Record], seed: int
) -> list[Record]:
    """Return the bias of every judge by rubric. Columns of ``judge_bias``.

    Parameters
    ----------
    scored
        Rows of ``labelled_scores``.
    reordered
        The same answers, shown before the rubric instead of after it.
    across
        Raw scores of models that were trained on answers of other styles.
    seed
        Of the bootstrap over questions.

    Notes
    -----
    ``length``: rank correlation of a score's error (score - label) with the answer's length in
    characters; positive means that long answers are scored too high. Length and label may be
    correlated among the labelled answers, which the error, unlike the score, does not inherit.
    ``order``: mean change of the score, as a share of the scale's length, when the answer comes
    before the rubric. Every answer is judged by itself, so that there is no order among answers.
    ``auc_across_styles``: AUC of the classifier on answers in a style that it was not trained on.
    """
    groups: dict[tuple[str, str], list[Record]] = {}
    for row in scored:
        groups.setdefault((row["judge"], row["rubric"]), []).append(row)
    other = {(r["judge"], r["rubric"], r["item_id"]): r for r in reordered}
    plan, rows = Bootstrap(DRAWS, seed), []
    for (judge, rubric), members in groups.items():
        known = [m for m in members if m["score"] is not None]
        rows.append(_row(judge, rubric, "length", _length(known, plan), len(known)))
        pairs = [(m, other[key]) for m in members if (key := _key(m)) in other]
        both = [(a, b) for a, b in pairs if a["score"] is not None and b["score"] is not None]
        if pairs:
            rows.append(_row(judge, rubric, "order", _order(both, plan), len(both)))
    return rows + _across_styles(across, plan)


def _across_styles(across: Sequence[Record], plan: Bootstrap) -> list[Record]:
    """AUC by rubric, questions resampled."""
    groups: dict[tuple[str, str], list[Record]] = {}
    for row in across:
        groups.setdefault((row["judge"], row["rubric"]), []).append(row)
    rows = []
    for (judge, rubric), members in groups.items():
        raw, label = (np.asarray([m[k] for m in members], dtype=float) for k in ("raw", "label"))
        questions = np.asarray([m["question"] for m in members])
        found = area_under_curve(raw, label >= HIGH[rubric], questions, plan)
        rows.append(_row(judge, rubric, "auc_across_styles", found, len(members)))
    return rows


def _key(row: Record) -> tuple[str, str, str]:
    return row["judge"], row["rubric"], row["item_id"]


def _row(judge: str, rubric: str, bias: str, found: Interval, n: int) -> Record:
    return {
        "judge": judge,
        "rubric": rubric,
        "bias": bias,
        "n": n,
        "value": found.estimate,
        "low": found.low,
        "high": found.high,
    }


def _length(known: Sequence[Record], plan: Bootstrap) -> Interval:
    errors = np.asarray([m["score"] - m["label"] for m in known], dtype=np.float64)
    lengths = np.asarray([m["length"] for m in known], dtype=np.float64)
    return spearman(errors, lengths, np.asarray([m["question"] for m in known]), plan)


def _order(pairs: Sequence[tuple[Record, Record]], plan: Bootstrap) -> Interval:
    if not pairs:
        return Interval(math.nan, math.nan, math.nan)
    low, high = SCALES[pairs[0][0]["rubric"]]
    changes = [(b["score"] - a["score"]) / (high - low) for a, b in pairs]
    return bootstrap_mean(changes, [a["question"] for a, _ in pairs], plan)
