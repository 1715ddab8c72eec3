"""Mappings from raw scores to the papers' scales, fitted on the labelled set.

Traits and coherence: a logistic curve to 0-100, per trait, and one over all traits for a trait
without labels. Role adherence: two cut points to 1, 2 and 3 over all roles together, at which each
level is given as often as people gave it; a raw score cannot tell a refusal, so offline judges
never give 0. Harm: cut points to 0-3 in the same way. The classifier knows refusals by their words,
so that its role adherence has cut points to 0-3 as well.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import ArrayLike, NDArray

from personae.data import tables
from personae.judging.judge_types import Rubric

POOLED: Final = "*"
_RIDGE: Final = 1e-2  # keeps the slope finite on a perfectly separable labelled set
_STEPS: Final = 100
CLASSIFIER: Final = "classifier"
_LINEAR: Final = "linear"
_LOWEST: Final = {"cuts": 1.0, "severity": 0.0}


class ScoreMapping(NamedTuple):
    """A fitted mapping: ``logistic`` with (slope, intercept), or ascending cut points.

    The levels of ``cuts`` start at 1 (role adherence), those of ``severity`` at 0 (harm, and the
    classifier's role adherence).
    """

    mapping: str
    parameters: tuple[float, ...]
    n: int

    def apply(self, raw: float) -> float:
        """Return the score of one raw value."""
        if self.mapping in _LOWEST:
            return _LOWEST[self.mapping] + sum(raw >= cut for cut in self.parameters)
        slope, intercept = self.parameters
        return 100.0 / (1.0 + math.exp(-max(-60.0, min(60.0, slope * raw + intercept))))


Key = tuple[str, str, str]  # judge, kind of rubric, target


class LinearModel(NamedTuple):
    """A fitted raw score: intercept plus the product of weights ``[d]`` and features ``[d]``."""

    intercept: float
    weights: NDArray[np.float64]
    n: int


Trained = tuple[str, str]  # kind of rubric, target


class Calibration:
    """The mappings of all judges, and the classifier's models, looked up by judge and rubric."""

    def __init__(
        self,
        mappings: Mapping[Key, ScoreMapping],
        models: Mapping[Trained, LinearModel] | None = None,
    ) -> None:
        self._mappings = dict(mappings)
        self.models = dict(models or {})

    @classmethod
    def from_table(cls, table: pa.Table) -> Calibration:
        """Read the ``calibration`` table."""
        mappings: dict[Key, ScoreMapping] = {}
        models: dict[Trained, LinearModel] = {}
        for row in table.to_pylist():
            values = row["parameters"]
            if row["mapping"] == _LINEAR:
                weights = np.asarray(values[1:], dtype=np.float64)
                models[row["rubric"], row["target"]] = LinearModel(values[0], weights, row["n"])
            else:
                key = (row["judge"], row["rubric"], row["target"])
                mappings[key] = ScoreMapping(row["mapping"], tuple(values), row["n"])
        return cls(mappings, models)

    def to_table(self) -> pa.Table:
        """Return the ``calibration`` table."""
        names = ("judge", "rubric", "target", "mapping", "parameters", "n")
        rows = [
            (*key, mapped.mapping, list(mapped.parameters), mapped.n)
            for key, mapped in self._mappings.items()
        ]
        rows += [
            (CLASSIFIER, *key, _LINEAR, [model.intercept, *model.weights.tolist()], model.n)
            for key, model in self.models.items()
        ]
        return tables.from_rows([dict(zip(names, row, strict=True)) for row in rows], "calibration")

    def score(self, judge: str, rubric: Rubric, raw: float) -> float:
        """Return a score on the rubric's scale.

        Raises
        ------
        ValueError
            When the judge was not calibrated for this kind of rubric.
        """
        for target in (rubric.target, POOLED):
            if mapped := self._mappings.get((judge, rubric.kind, target)):
                return mapped.apply(raw)
        raise ValueError(f"judge {judge!r} is not calibrated for rubric {rubric.kind!r}")


def fit(kind: str, raw: ArrayLike, labels: ArrayLike, judge: str = "") -> ScoreMapping:
    """Fit the mapping of one kind of rubric.

    Parameters
    ----------
    judge
        Whose raw scores these are: those of the classifier rank refusals below all else.
    raw, labels
        ``[n]`` raw scores and labels on the rubric's scale; NaN raw scores are ignored.

    Raises
    ------
    ValueError
        With fewer than two raw scores.
    """
    x, y = np.asarray(raw, dtype=np.float64), np.asarray(labels, dtype=np.float64)
    x, y = x[~np.isnan(x)], y[~np.isnan(x)]
    if len(x) < 2:
        raise ValueError(f"cannot calibrate {kind} on {len(x)} labelled answers")
    if kind == "role_adherence" and judge != CLASSIFIER:
        return ScoreMapping("cuts", _cuts(x, y, (2.0, 3.0)), len(x))
    if kind in ("harm", "role_adherence"):
        return ScoreMapping("severity", _cuts(x, y, (1.0, 2.0, 3.0)), len(x))
    return ScoreMapping("logistic", _logistic(x, y / 100.0), len(x))


def _logistic(x: NDArray[np.float64], share: NDArray[np.float64]) -> tuple[float, float]:
    """Fit slope and intercept of a logistic curve to soft labels 0-1 by penalised Newton steps."""
    centre, spread = float(x.mean()), float(x.std()) or 1.0
    design = np.stack([(x - centre) / spread, np.ones_like(x)], axis=1)
    beta = np.zeros(2)
    penalty = np.diag([_RIDGE * len(x), 0.0])
    for _ in range(_STEPS):
        p = 1.0 / (1.0 + np.exp(-np.clip(design @ beta, -30.0, 30.0)))
        gradient = design.T @ (share - p) - penalty @ beta
        hessian = (design * (p * (1 - p))[:, np.newaxis]).T @ design + penalty
        step = np.linalg.solve(hessian + 1e-9 * np.eye(2), gradient)
        beta += np.clip(step, -2.0, 2.0)
        if np.abs(step).max() < 1e-10:
            break
    slope = float(beta[0]) / spread
    return slope, float(beta[1]) - slope * centre


def _cuts(
    x: NDArray[np.float64], y: NDArray[np.float64], levels: Sequence[float]
) -> tuple[float, ...]:
    """Cut points at which each level is given as often as people gave it (equipercentile linking).

    What lies below the first level is one level. Cut points that each separate "at least 2" and "at
    least 3" best coincide where the levels overlap: level 2 would never be given.
    """
    ordered = [*np.sort(x), np.inf]
    return tuple(_between(ordered, int((y < level).sum())) for level in levels)


def _between(ordered: Sequence[float], below: int) -> float:
    """Return a value that ``below`` of the ordered ones lie below, as far as ties allow."""
    return float(ordered[below] if below == 0 else (ordered[below - 1] + ordered[below]) / 2.0)


def folds(questions: Sequence[str], count: int = 4) -> NDArray[np.int16]:
    """Return the fold, 0 to ``count`` - 1, of every answer, ``[n]``; a question is in one fold."""
    order = {question: i % count for i, question in enumerate(dict.fromkeys(questions))}
    return np.asarray([order[question] for question in questions], dtype=np.int16)


def cross_validated(
    kind: str,
    raw: Sequence[float],
    labels: Sequence[float],
    fold: NDArray[np.int16],
    judge: str = "",
) -> list[float | None]:
    """Score every answer with a mapping fitted on the other folds; None without a raw score.

    If the other folds have too few raw scores to fit, the mapping of all answers is used.

    Parameters
    ----------
    raw, labels
        ``[n]`` raw scores, NaN where missing, and labels on the rubric's scale.
    fold
        ``[n]`` folds, from `folds`.
    """
    x, y = np.asarray(raw, dtype=np.float64), np.asarray(labels, dtype=np.float64)
    mappings = {}
    for number in np.unique(fold).tolist():
        others = (fold != number) & ~np.isnan(x)
        kept = others if others.sum() > 1 else np.ones_like(others)
        mappings[number] = fit(kind, x[kept], y[kept], judge)
    return [
        None if math.isnan(value) else mappings[int(number)].apply(value)
        for value, number in zip(x, fold, strict=True)
    ]
