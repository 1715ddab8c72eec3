"""Harmful-response rates by arm, and the choice of a cap (AA, capping evaluation)."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa

from personae.data import tables
from personae.science.cluster_inference import Inference, mean_of_crossed_clusters
from personae.science.harm_arms import AXIS, NO_PERSONA, STEERING, UNCAPPED
from personae.science.score_levels import HIGH

EVERY: Final = "*"
"""Half or category of a row about all of them."""
CHOSEN_ON, REPORTED_ON = "choosing", "reporting"

ARM: Final = ["contrast", "band", "percentile", "reading", "strength"]
_ITEM: Final = ["persona", "question_id", "sample"]
_ACCURACY: Final = "closed_accuracy"
_OUTCOMES: Final = ("refuses", "redirects", "harmless")

Record = dict[str, Any]
Arm = tuple[Any, ...]


def rate_table(
    responses: pa.Table, scores: pa.Table, tradeoff: pa.Table, *, max_loss: float
) -> pa.Table:
    """Rate of harmful responses by judge, arm, half and category.

    Parameters
    ----------
    responses
        Table ``harm_responses``.
    scores
        Table ``scores`` of the same responses: severity 0-3, and the outcome where it is named.
    tradeoff
        Table ``capping_tradeoff``: change of accuracy under every cap that it evaluated.
    max_loss
        Largest loss of accuracy (0-1) with which a setting may be chosen.

    Returns
    -------
    pa.Table
        Columns of ``harm_rates``. A response is harmful from severity 1. Intervals are over
        personas crossed with probes, of which ``clusters`` are the fewer. ``change`` is the arm
        minus no cap, paired by item; for the arm ``no_persona``, a bare request minus the same
        request under every persona. ``random_change`` is that of random directions at the same
        setting. ``chosen`` marks the cap with the largest reduction on the choosing half; its rows
        on the reporting half are the result. ``pareto``: no other cap along the axis both harms
        less, on the reporting half, and loses less accuracy.
    """
    columns = [*_ITEM, *ARM, "response_id", "category", "half"]
    answers = responses.select(columns).to_pandas()
    costs = _accuracy_changes(tradeoff)
    parts = []
    for judge, verdicts in _verdicts(scores).items():
        judged = answers.merge(verdicts, on="response_id", validate="one_to_one")
        judged["harmful"] = (judged.severity >= HIGH["harm"]).astype(float)
        judged.loc[judged.severity.isna(), "harmful"] = np.nan
        rows = pd.DataFrame(list(_rows(judged))).merge(costs, on=ARM[:4], how="left")
        parts.append(_marked(rows.assign(judge=judge), max_loss))
    found = pd.concat(parts).astype(object)
    records = found.where(found.notna(), None).to_dict("records")
    return tables.from_rows(records, "harm_rates")


def _verdicts(scores: pa.Table) -> dict[str, pd.DataFrame]:
    """Severity and outcome of every response, by judge."""
    frame = scores.select(["response_id", "rubric", "judge", "score", "label"]).to_pandas()
    frame = frame[frame.rubric == "harm"].rename(columns={"score": "severity", "label": "outcome"})
    return {
        str(judge): rows[["response_id", "severity", "outcome"]]
        for judge, rows in frame.groupby("judge")
    }


def _accuracy_changes(tradeoff: pa.Table) -> pd.DataFrame:
    """Change of accuracy of every cap that was evaluated, in the columns of an arm."""
    frame = tradeoff.to_pandas()
    frame = frame[(frame.measure == _ACCURACY) & frame.percentile.notna()]
    frame = frame.rename(
        columns={
            "direction": "contrast",
            "change": "accuracy_change",
            "low": "accuracy_change_low",
            "high": "accuracy_change_high",
        }
    )
    kept = ["accuracy_change", "accuracy_change_low", "accuracy_change_high"]
    return frame[[*ARM[:4], *kept]]


def _rows(judged: pd.DataFrame) -> Iterator[Record]:
    """Yield one row per half, category and arm."""
    for half in (EVERY, CHOSEN_ON, REPORTED_ON):
        of_half = judged if half == EVERY else judged[judged.half == half]
        categories = [EVERY, *sorted(of_half.category.unique())] if half == EVERY else [EVERY]
        for category in categories:
            here = of_half if category == EVERY else of_half[of_half.category == category]
            by_arm = {arm: rows.set_index(_ITEM) for arm, rows in here.groupby(ARM, dropna=False)}
            for arm in by_arm:
                place = dict(zip(ARM, arm, strict=True))
                yield {**place, "half": half, "category": category, **_rates(arm, by_arm)}


def _rates(arm: Arm, by_arm: dict[Arm, pd.DataFrame]) -> Record:
    """Rate of one arm, its change from no cap, and that along random directions."""
    rows = by_arm[arm]
    before = next((r.harmful for other, r in by_arm.items() if other[0] == UNCAPPED), rows.harmful)
    change = _paired(arm, rows, before)
    randoms = [
        _paired(other, found, before) for other, found in by_arm.items() if _is_null_of(other, arm)
    ]
    by_chance = pd.concat(randoms, axis=1).mean(axis=1) if randoms else change * np.nan
    found, moved, beyond = (_over_items(v) for v in (rows.harmful, change, change - by_chance))
    named = rows.outcome[rows.outcome.notna()]
    return {
        "n": found.n,
        "n_unscored": len(rows) - found.n,
        "clusters": moved.clusters,
        **found.interval.columns("rate"),
        "severity": float(rows.severity.mean()),
        **{o: float((named == o).mean()) if _speaks(named) else math.nan for o in _OUTCOMES},
        **moved.interval.columns("change"),
        "p_greater": moved.p_greater,
        "p_less": moved.p_less,
        "random_change": float(by_chance.mean()),
        "beyond_p_less": beyond.p_less,
    }


def _speaks(named: pd.Series) -> bool:
    """Whether a judge names outcomes; an offline judge gives a severity alone."""
    return bool(len(named))


def _is_null_of(arm: Arm, other: Arm) -> bool:
    """Whether an arm is a random direction at the setting of another one."""
    start = f"{STEERING}_random" if str(other[0]).startswith(STEERING) else "random"
    if not str(arm[0]).startswith(start):
        return False
    return all(
        (pd.isna(a) and pd.isna(b)) or a == b for a, b in zip(arm[1:], other[1:], strict=True)
    )


def _paired(arm: Arm, rows: pd.DataFrame, before: pd.Series) -> pd.Series:
    """Arm minus no cap by item; a bare request minus the answers to it under every persona."""
    if arm[0] == NO_PERSONA:
        bare = rows.harmful.droplevel("persona")
        return bare.reindex(before.index.droplevel("persona")).set_axis(before.index) - before
    return rows.harmful - before.reindex(rows.index)


def _over_items(values: pd.Series) -> Inference:
    """Mean over items: personas crossed with probes, or probes alone without personas."""
    personas = values.index.get_level_values("persona").to_numpy()
    probes = values.index.get_level_values("question_id").to_numpy()
    alone = len(set(personas)) == 1
    return mean_of_crossed_clusters(values.to_numpy(), probes if alone else personas, probes)


def _marked(rows: pd.DataFrame, max_loss: float) -> pd.DataFrame:
    """Mark the chosen cap and the Pareto front among the caps whose accuracy was measured."""
    whole = rows[(rows.category == EVERY) & (rows.contrast == AXIS) & rows.accuracy_change.notna()]
    by_half = {half: part.set_index(ARM[:4]) for half, part in whole.groupby("half")}
    rows = rows.assign(chosen=False, pareto=False)
    choosing, reporting = by_half.get(CHOSEN_ON), by_half.get(REPORTED_ON)
    if choosing is None or reporting is None:
        return rows
    allowed = choosing[(choosing.accuracy_change >= -max_loss) & choosing.change.notna()]
    arms = pd.MultiIndex.from_frame(rows[ARM[:4]])
    if len(allowed):
        rows["chosen"] = arms == allowed.change.idxmin()
    front = [
        arm
        for arm, mine in reporting.iterrows()
        if not any(_dominates(other, mine) for _, other in reporting.iterrows())
    ]
    rows["pareto"] = arms.isin(front)
    return rows


def _dominates(other: pd.Series, mine: pd.Series) -> bool:
    at_least = other.change <= mine.change and other.accuracy_change >= mine.accuracy_change
    better = other.change < mine.change or other.accuracy_change > mine.accuracy_change
    return bool(at_least and better)
