"""Agreement between judges, on the labelled set and on a study's own responses.

The labelled set says which judge is right, but it is small. The study's own responses have no
labels, but they are what the judges decide on.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any, Final, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from personae.judging.agreement import area_under_curve, kappa_interval, named, spearman
from personae.judging.calibration import POOLED
from personae.science.resampling import DRAWS, Bootstrap, encode
from personae.science.score_levels import HIGH, LABELLED, UNSCORED, WORDED, level

Record = dict[str, Any]

_MOST_CLUSTERS: Final = 200


class Opinion(NamedTuple):
    """One judge's verdict on one answer.

    Attributes
    ----------
    item
        What tells the answer, and what it was judged for, from all others.
    word
        The word of the verdict, where the rubric has words; else None.
    """

    judge: str
    rubric: str
    item: tuple[str, ...]
    question: str
    score: float | None
    word: str | None
    mode: str


@dataclass
class SharedAnswers:
    """Answers that two judges were both asked about: one entry each, NaN where unscored."""

    left: list[float] = field(default_factory=list)
    right: list[float] = field(default_factory=list)
    left_levels: list[str] = field(default_factory=list)
    right_levels: list[str] = field(default_factory=list)
    questions: list[str] = field(default_factory=list)

    def add(self, left: Opinion, right: Opinion) -> None:
        """Append an answer."""
        # An offline judge never gives level 0 of a role: then level 0 counts as 1 for both.
        mode = "offline" if "offline" in (left.mode, right.mode) else "text"
        self.left.append(math.nan if left.score is None else left.score)
        self.right.append(math.nan if right.score is None else right.score)
        self.left_levels.append(_level(left, mode))
        self.right_levels.append(_level(right, mode))
        self.questions.append(left.question)


Pairs = dict[tuple[str, str, str], SharedAnswers]
"""Judge, other judge and rubric to what both were asked about."""


def _level(said: Opinion, mode: str) -> str:
    if said.score is None:
        return UNSCORED
    row = {"rubric": said.rubric, "mode": mode, "score": said.score, "score_name": said.word}
    return level(row, "score")


def labelled_opinions(scored: Iterable[Record]) -> list[Opinion]:
    """Return the opinions in rows of ``labelled_scores``."""
    return [
        Opinion(
            row["judge"], row["rubric"], (row["item_id"],), row["question"],
            row["score"], row["score_name"], row["mode"],
        )
        for row in scored
    ]  # fmt: skip


def study_opinions(scores: pa.Table, questions: Mapping[str, str]) -> list[Opinion]:
    """Return the opinions in a table ``scores``; ``questions`` maps a response to its question."""
    names = ("judge", "rubric", "target", "response_id", "score", "label", "mode")
    columns = (scores[name].to_pylist() for name in names)
    return [
        Opinion(
            judge, rubric, (target, response), questions[response],
            score, label if rubric in WORDED else None, mode,
        )
        for judge, rubric, target, response, score, label, mode in zip(*columns, strict=True)
    ]  # fmt: skip


def add_pairs(opinions: Iterable[Opinion], pairs: Pairs) -> None:
    """Add to ``pairs`` what every two judges said of the same answers, in the judges' order."""
    by_item: dict[tuple[str, tuple[str, ...]], list[Opinion]] = {}
    for opinion in opinions:
        by_item.setdefault((opinion.rubric, opinion.item), []).append(opinion)
    for (rubric, _), members in by_item.items():
        for left, right in combinations(members, 2):
            pairs.setdefault((left.judge, right.judge, rubric), SharedAnswers()).add(left, right)


def pair_rows(pairs: Pairs, seed: int, arm: str = LABELLED) -> list[Record]:
    """Return the agreement of every two judges by rubric, over all targets. ``judge_pairs``.

    Parameters
    ----------
    pairs
        What they said of the same answers.
    seed
        Of the bootstrap over questions.
    arm
        Which answers these are.

    Notes
    -----
    ``auc``: how well the scores of ``judge`` rank the answers that ``other`` finds high above those
    that it finds low; ``auc_other``: the reverse. Only answers that both scored are compared.
    """
    return [
        {"judge": judge, "other": other, "rubric": rubric, "arm": arm, **_row(rubric, both, seed)}
        for (judge, other, rubric), both in pairs.items()
    ]


def _row(rubric: str, both: SharedAnswers, seed: int) -> Record:
    plan = Bootstrap(DRAWS, seed)
    sides = np.asarray([both.left, both.right], dtype=np.float64)
    where = np.flatnonzero(~np.isnan(sides).any(axis=0))
    left, right = sides[:, where]
    clusters = _clusters([both.questions[i] for i in where])
    levels = [(both.left_levels[i], both.right_levels[i]) for i in where]
    return {
        "n": len(where),
        "n_unscored": len(both.questions) - len(where),
        **named("auc", area_under_curve(left, right >= HIGH[rubric], clusters, plan)),
        **named("auc_other", area_under_curve(right, left >= HIGH[rubric], clusters, plan)),
        **named("spearman", spearman(left, right, clusters, plan)),
        **named("kappa", kappa_interval(levels, clusters, plan)),
    }


def _clusters(questions: Sequence[str]) -> NDArray[np.int64]:
    """Number the questions; thousands of them are resampled in bundles to save time."""
    if not questions:
        return np.zeros(0, dtype=np.int64)
    return np.asarray(encode(questions) % _MOST_CLUSTERS, dtype=np.int64)


def pair_confusion_rows(pairs: Pairs, arm: str = LABELLED) -> list[Record]:
    """Return counts of one judge's level against another's. Columns of ``confusion``.

    ``label`` is the level of the judge in ``against``, ``predicted`` that of ``judge``.
    """
    return [
        {
            "judge": judge,
            "against": other,
            "arm": arm,
            "rubric": rubric,
            "target": POOLED,
            "label": label,
            "predicted": predicted,
            "n": n,
        }
        for (judge, other, rubric), both in pairs.items()
        for (predicted, label), n in sorted(
            Counter(zip(both.left_levels, both.right_levels, strict=True)).items()
        )
    ]
