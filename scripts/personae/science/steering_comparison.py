"""Ways of steering one trait against each other, and what each does to other traits (PV, steering).

All arms of a trait answer the same questions with the same seeds; changes are paired by question
with the arm ``none``.
"""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np
import pandas as pd

from personae.data.table_values import number_or_none, numbers_or_none
from personae.science.cluster_inference import mean_of_clusters

NONE: Final = "none"
RANDOM: Final = "random"
COHERENCE: Final = "coherence"
CAPABILITY: Final = "closed_accuracy"
TRAIT: Final = "trait"


def is_random(arm: str) -> bool:
    """Whether an arm steers along a random direction."""
    return arm.startswith(RANDOM)


def score_rows(
    responses: pd.DataFrame, scores: pd.DataFrame, closed: pd.DataFrame
) -> list[dict[str, Any]]:
    """Return the mean score of every arm, question and measure. Columns of ``compared_scores``.

    Parameters
    ----------
    responses
        Table ``compared_responses`` of one trait.
    scores
        Table ``scores`` of the same responses by the primary judge: ``target`` of the rubric
        ``trait`` is the trait that is measured, whichever is steered.
    closed
        Table ``compared_closed``: 1 where a closed question is answered correctly.

    Returns
    -------
    list of dict
        ``measured`` is a trait, ``coherence`` or ``closed_accuracy``; ``unit`` the question or
        item. ``score`` is null where no response was scored.
    """
    joined = scores.merge(responses[["response_id", "arm", "question_id"]], on="response_id")
    measured = joined.target.where(joined.rubric == TRAIT, joined.rubric)
    groups = joined.assign(measured=measured).groupby(
        ["arm", "measured", "question_id"], sort=False
    )
    trait = str(responses.trait.iloc[0])
    rows = [
        {
            "trait": trait,
            "arm": arm,
            "measured": name,
            "unit": unit,
            "score": None if part.score.isna().all() else float(part.score.mean()),
            "n_unscored": int(part.score.isna().sum()),
        }
        for (arm, name, unit), part in groups
    ]
    return rows + [
        {
            "trait": trait,
            "arm": row.arm,
            "measured": CAPABILITY,
            "unit": row.item,
            "score": row.correct,
            "n_unscored": 0,
        }
        for row in closed.itertuples()
    ]


def comparison_rows(scored: pd.DataFrame) -> list[dict[str, Any]]:
    """Return mean and change of every arm and measure. Columns of ``steering_comparison``.

    ``change`` is that from the arm ``none``, paired by question or item, with an interval over
    them. ``random_p95`` is the 95th percentile of the changes along random directions.
    """
    rows = []
    for (trait, name), part in scored.groupby(["trait", "measured"], sort=False):
        wide = part.pivot(index="unit", columns="arm", values="score").astype(float)
        if NONE not in wide:
            continue
        random = [_mean(wide[arm] - wide[NONE]) for arm in wide.columns if is_random(str(arm))]
        for arm in wide.columns:
            mean = mean_of_clusters(wide[arm].to_numpy(), wide.index.to_numpy()).interval
            change = (wide[arm] - wide[NONE]).to_numpy()
            moved = mean_of_clusters(change, wide.index.to_numpy()).interval
            rows.append(
                {
                    "trait": trait,
                    "arm": arm,
                    "measured": name,
                    "n": int(np.isfinite(wide[arm]).sum()),
                    "n_unscored": int(part.n_unscored[part.arm == arm].sum()),
                    **numbers_or_none(mean.columns("mean")),
                    **numbers_or_none(moved.columns("change")),
                    "random_p95": number_or_none(float(np.quantile(random, 0.95)))
                    if random
                    else None,
                    "n_random": len(random),
                }
            )
    return rows


def contrast(scored: pd.DataFrame, arm: str, other: str) -> pd.Series:
    """Return the difference of two arms on the steered trait itself, by trait and question."""
    own = scored[scored.measured == scored.trait].assign(
        key=scored.trait + "/" + scored.unit.astype(str)
    )
    wide = own.pivot(index="key", columns="arm", values="score").astype(float)
    if not {arm, other} <= set(wide.columns):
        return pd.Series(dtype=float)
    return (wide[arm] - wide[other]).dropna()


def _mean(values: pd.Series) -> float:
    return float(values.mean()) if values.notna().any() else math.nan
