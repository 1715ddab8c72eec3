"""Who speaks under steering along the axis: shares of labels by strength (AA, susceptibility)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa

from personae.data import tables
from personae.data.judge_scores import scores_by_judge
from personae.science.cluster_inference import Inference, mean_of_crossed_clusters
from personae.science.score_levels import PERSONA_LABELS, SPEAKERS

ANY_PERSONA: Final = "persona"
"""Label of the rows about all speakers but the Assistant; ``other`` is no persona."""

_ITEM: Final = ["role", "prompt_index", "question_id", "sample"]
_ARM: Final = ["direction", "strength"]
_OF_ARM: Final = ("judge", "layer", "unit", "in_residual_norms", "in_persona_gaps")

Record = dict[str, Any]


def share_table(responses: pa.Table, scores: pa.Table, unit: str) -> pa.Table:
    """Share of every label by judge, direction and strength.

    Parameters
    ----------
    responses
        Table ``speaker_responses``; strength 0 is the unsteered arm.
    scores
        Table ``scores`` of the same responses: labels and coherence.
    unit
        Of the column ``strength``, written to the table.

    Returns
    -------
    pa.Table
        Columns of ``speaker_shares``. Intervals are over roles crossed with questions. ``change``
        is steered minus unsteered, paired by item; ``random_change`` is the mean of that over
        random directions of the same length, and the ``beyond_`` p-values are of the difference.
    """
    columns = [*_ITEM, *_ARM, "response_id", "layer", "in_residual_norms", "in_persona_gaps"]
    answers = responses.select(columns).to_pandas()
    coherence = _deciding_coherence(scores)
    rows: list[Record] = []
    for judge, said in _labels(scores).items():
        kept = answers[answers.response_id.isin(said)].assign(unit=unit, judge=judge)
        kept["label"] = [said[response] for response in kept.response_id]
        kept["coherence"] = [coherence.get(response, math.nan) for response in kept.response_id]
        arms = _arm_columns(kept)
        for label in (*SPEAKERS, ANY_PERSONA):
            rows += _rows_of_label(kept.assign(value=_is(kept.label, label)), label, arms)
    return tables.from_rows(rows, "speaker_shares")


def _labels(scores: pa.Table) -> dict[str, dict[str, str | None]]:
    """Return ``judge -> response -> label``; None where unscored."""
    found: dict[str, dict[str, str | None]] = {}
    names = ("judge", "rubric", "response_id", "label")
    for judge, rubric, response, label in zip(
        *(scores[name].to_pylist() for name in names), strict=True
    ):
        if rubric == "role_label":
            found.setdefault(judge, {})[response] = label
    return found


def _deciding_coherence(scores: pa.Table) -> Mapping[str, float]:
    """Return the coherence of every response by the judge that decides on it."""
    return next(iter(scores_by_judge(scores.filter(scores["primary"]), "coherence").values()), {})


def _is(labels: Sequence[str | None], label: str) -> list[float]:
    """Return 1 where an answer has the label, 0 where another one, NaN where it is unscored."""
    wanted = PERSONA_LABELS if label == ANY_PERSONA else (label,)
    return [math.nan if pd.isna(said) else float(said in wanted) for said in labels]


def _arm_columns(answers: pd.DataFrame) -> dict[tuple[str, float], Record]:
    """Return what the rows of all labels of an arm share: its setting and its coherence."""
    found = {}
    for (direction, strength), members in answers.groupby(_ARM, sort=True):
        first = {name: members[name].iloc[0] for name in _OF_ARM}
        coherence = mean_of_crossed_clusters(members.coherence, members.role, members.question_id)
        found[direction, strength] = {
            "judge": first["judge"],
            "direction": direction,
            "layer": int(first["layer"]),
            "strength": float(strength),
            "unit": first["unit"],
            "in_residual_norms": float(first["in_residual_norms"]),
            "in_persona_gaps": float(first["in_persona_gaps"]),
            **coherence.interval.columns("coherence"),
        }
    return found


def _rows_of_label(
    answers: pd.DataFrame, label: str, arms: Mapping[tuple[str, float], Record]
) -> list[Record]:
    """Return one row per arm; ``value`` is 1 where an answer has the label."""
    wide = answers.pivot(index=_ITEM, columns=_ARM, values="value")
    changes = wide.sub(wide["axis", 0.0], axis=0)
    rows = []
    sizes = answers.groupby(_ARM).size()
    for (direction, strength), shared in arms.items():
        randoms = [
            column
            for column in wide.columns
            if column[0].startswith("random") and column[1] == strength
        ]
        by_chance = changes[randoms].mean(axis=1) if randoms else changes.iloc[:, 0] * np.nan
        change = changes[direction, strength]
        found, moved = _over_items(wide[direction, strength]), _over_items(change)
        beyond = _over_items(change - by_chance)
        rows.append(
            {
                **shared,
                "label": label,
                "n": found.n,
                "n_unscored": int(sizes[direction, strength]) - found.n,
                "clusters": found.clusters,
                **found.interval.columns("share"),
                **moved.interval.columns("change"),
                "p_greater": moved.p_greater,
                "p_less": moved.p_less,
                "random_change": float(by_chance.mean()),
                "beyond_p_greater": beyond.p_greater,
                "beyond_p_less": beyond.p_less,
            }
        )
    return rows


def _over_items(values: pd.Series) -> Inference:
    """Mean over items, which are roles crossed with questions."""
    return mean_of_crossed_clusters(
        values.to_numpy(),
        values.index.get_level_values("role").to_numpy(),
        values.index.get_level_values("question_id").to_numpy(),
    )
