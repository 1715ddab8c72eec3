"""Items of the capping evaluation: every response under every setting, paired with no capping."""

from __future__ import annotations

import functools
import operator
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import pandas as pd

from personae.report.scorecard.claim import Untestable
from personae.report.scorecard.evidence import Evidence
from personae.science.capping_selection import HeldOut, halves, held_out_best
from personae.science.vectors import FULLY_FROM

_ACCURACY_TOLERANCE: Final = 0.05
_COHERENCE_TOLERANCE: Final = 10.0
_ITEM: Final = ["subject", "question_id", "turn"]


@dataclass(frozen=True)
class CappedItems:
    """Responses of one suite, judged by one judge.

    Attributes
    ----------
    uncapped
        ``[items]`` 1 where the response without capping is fully in persona, else 0.
    reductions
        By direction, ``[items, settings]``: 1 where capping ended it, -1 where it began.
    affordable
        By direction, ``[2, settings]``: whether the loss of accuracy and coherence is acceptable
        on the items that choose, see `held_out_best`.
    crossed
        Whether items are roles crossed with questions, rather than turns of conversations.
    """

    uncapped: pd.Series
    reductions: dict[str, pd.DataFrame]
    affordable: dict[str, pd.DataFrame]
    crossed: bool

    @property
    def subjects(self) -> pd.Index:
        """Role or conversation of every item."""
        return self.uncapped.index.get_level_values("subject")

    @property
    def questions(self) -> pd.Index:
        """Question of every item."""
        return self.uncapped.index.get_level_values("question_id")

    @property
    def choosing(self) -> pd.Index:
        """Clusters by which items are halved: questions of crossed items, else conversations."""
        return self.questions if self.crossed else self.subjects

    @property
    def random_directions(self) -> list[str]:
        """Names of the random directions."""
        return [name for name in self.reductions if name.startswith("random")]

    def held_out(self, direction: str, among: Sequence[str] | None = None) -> HeldOut:
        """Reduction of every item under the setting that the other half of the items chose."""
        table, allowed = self.reductions[direction], self.affordable[direction]
        settings = list(table) if among is None else list(among)
        return held_out_best(table[settings], allowed[settings], self.choosing)


def capped_items(evidence: Evidence, suite: str, judge: str) -> CappedItems | Untestable:
    """Read the items of a suite (``roles`` or ``jailbreak``) with one judge's scores."""
    played = _judged(evidence, suite, judge, "role_adherence")
    fluency = _judged(evidence, suite, judge, "coherence")
    judges = {evidence.criteria.judge, evidence.criteria.second_judge} - {judge, None}
    others = [_judged(evidence, suite, str(name), "coherence") for name in sorted(map(str, judges))]
    others = [scores for scores in others if not scores.empty]
    if played.empty or fluency.empty:
        return Untestable(f"no response of the suite {suite!r} was judged by {judge!r}")
    before = played["none"].iloc[:, 0].ge(FULLY_FROM).where(played["none"].iloc[:, 0].notna())
    uncapped = before.astype(float)
    if not uncapped.sum():
        return Untestable("no response is fully in persona even without capping")
    accuracy = _accuracy_losses(evidence)
    crossed = suite == "roles"
    by = "question_id" if crossed else "subject"
    reductions, affordable = {}, {}
    for direction in [d for d in played.columns.levels[0] if d != "none"]:
        scores = played[direction]
        after = scores.ge(FULLY_FROM).where(scores.notna()).astype(float)
        reductions[direction] = -after.sub(uncapped, axis=0)
        allowed = [
            _affordable(_losses(scores, direction), accuracy.get(direction), by)
            for scores in (fluency, *others)
            if direction in scores.columns.levels[0]
        ]
        affordable[direction] = functools.reduce(operator.and_, allowed)
    return CappedItems(uncapped, reductions, affordable, crossed)


def _losses(fluency: pd.DataFrame, direction: str) -> pd.DataFrame:
    """Loss of coherence of every item under every setting."""
    return -fluency[direction].sub(fluency["none"].iloc[:, 0], axis=0)


def _affordable(losses: pd.DataFrame, accuracy: pd.Series | None, by: str) -> pd.DataFrame:
    """Whether coherence and accuracy allow a setting, coherence on each choosing half.

    A judge of a share of the questions may have scored none of a half: it forbids nothing there.
    """
    first = halves(losses.index.get_level_values(by))
    rows = [losses[half].mean().fillna(0.0) <= _COHERENCE_TOLERANCE for half in (first, ~first)]
    table = pd.DataFrame(rows).reset_index(drop=True)
    if accuracy is None:
        return table
    return table & (accuracy.reindex(table.columns).fillna(0.0) <= 0.0)


def _accuracy_losses(evidence: Evidence) -> dict[str, pd.Series]:
    """By direction and setting, the loss of closed answers beyond the tolerance.

    One item more or less is no evidence where a single one is more than the tolerance.
    """
    answers = closed_answers(evidence)
    before = answers[answers.direction == "none"].value.mean()
    n = answers.item.nunique()
    tolerance = max(_ACCURACY_TOLERANCE, 1.0 / n) + 1e-9
    capped = answers[answers.direction != "none"]
    losses = before - capped.groupby(["direction", "setting"]).value.mean() - tolerance
    return {str(d): part.droplevel(0) for d, part in losses.groupby(level=0)}


def closed_answers(evidence: Evidence) -> pd.DataFrame:
    """Return right (1) and wrong (0) answers to closed questions, one row per item and setting."""
    rows = evidence.read("capping_costs", filters=[("measure", "==", "closed_accuracy")])
    return _with_setting(rows)


def _with_setting(rows: pd.DataFrame) -> pd.DataFrame:
    names = rows.band.astype(str) + " p" + rows.percentile.map("{:g}".format)
    return rows.assign(setting=names.where(rows.direction != "none", "none"))


def _judged(evidence: Evidence, suite: str, judge: str, rubric: str) -> pd.DataFrame:
    """Scores as ``[items, (direction, setting)]``; NaN where unscored."""
    columns = ["response_id", *_ITEM, "direction", "band", "percentile"]
    responses = evidence.read("capped_responses", columns, [("suite", "==", suite)])
    wanted = [("judge", "==", judge), ("rubric", "==", rubric)]
    scores = evidence.read("capped_scores", ["response_id", "score"], wanted)
    rows = _with_setting(responses.merge(scores, on="response_id"))
    if rows.empty:
        return rows
    return rows.pivot_table(
        index=_ITEM, columns=["direction", "setting"], values="score", dropna=False
    ).dropna(axis=1, how="all")
