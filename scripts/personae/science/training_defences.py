"""Preventative steering in training against steering afterwards, at equal trait (PV, preventative).

Steering against a trait after training gives a curve: the lower the trait score, the lower in
general coherence and capability. A defence during training is compared with the point of that curve
that has the same trait score, found by linear interpolation between the coefficients tried.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from personae.data.table_values import number_or_none, numbers_or_none
from personae.science.finetuning_shift import BASE, PLAIN
from personae.science.jackknife import IDENTITY, jackknife_interval
from personae.science.resampling import ratio

FloatArray = NDArray[np.float64]

COHERENCE: Final = "coherence"
CAPABILITY: Final = "closed_accuracy"
TRAIT: Final = "trait"
STEERED: Final = "steered"
"""The arm that is trained plainly and steered afterwards."""


class DefenceArm(NamedTuple):
    """One way to treat the strongest training data.

    Attributes
    ----------
    arm
        ``base`` (before training), ``plain``, ``steered`` (plain, then steered with
        ``coefficient``), ``preventative`` or ``ablation``.
    coefficient
        Of steering after training; 0 elsewhere.
    trait, coherence
        ``[questions]`` mean scores 0-100 in the same order of questions for all arms, NaN where
        unscored.
    capability
        ``[items]`` 1 where a closed question is answered correctly, else 0.
    n_unscored
        Responses without a trait score.
    """

    arm: str
    coefficient: float
    trait: FloatArray
    coherence: FloatArray
    capability: FloatArray
    n_unscored: int

    def values(self, measure: str) -> FloatArray:
        """Return the values of a measure."""
        named = {TRAIT: self.trait, COHERENCE: self.coherence, CAPABILITY: self.capability}
        return named[measure]


def defence_rows(trained: str, arms: Sequence[DefenceArm], judge: str) -> list[dict[str, Any]]:
    """Return every arm's measures, and the defences' distance from steering afterwards.

    Returns
    -------
    list of dict
        Rows of ``finetuning_defences``. ``matched`` is the measure of steering afterwards at the
        defence's trait score, ``difference`` the defence's value minus it, with an interval over
        questions (and items): positive means that the defence costs less. Of the trait score itself
        ``matched`` is that of plain training. ``in_reach`` is false
        where no coefficient tried reaches that trait score; the nearest one stands in.
    """
    curve = sorted((a for a in arms if a.arm in (PLAIN, STEERED)), key=lambda a: -a.coefficient)
    rows = []
    for arm in arms:
        for measure in (TRAIT, COHERENCE, CAPABILITY):
            values = arm.values(measure)
            bounds = jackknife_interval(_mean(values), _without_each(values), IDENTITY)
            row: dict[str, Any] = {
                "trained": trained,
                "arm": arm.arm,
                "coefficient": arm.coefficient,
                "measure": measure,
                "judge": "" if measure == CAPABILITY else judge,
                "n": int(np.isfinite(values).sum()),
                "n_unscored": 0 if measure == CAPABILITY else arm.n_unscored,
                **_columns("value", "low", "high", bounds),
            }
            if arm.arm not in (BASE, PLAIN, STEERED) and curve:
                row |= (
                    _without(arm, curve[0]) if measure == TRAIT else _against(arm, curve, measure)
                )
            rows.append(row)
    return rows


def _without(arm: DefenceArm, plain: DefenceArm) -> dict[str, Any]:
    """Compare the trait score of a defence with that of plain training."""
    matched = _mean(plain.trait)
    differences = _without_each(arm.trait) - _without_each(plain.trait)
    bounds = jackknife_interval(_mean(arm.trait) - matched, differences, IDENTITY)
    return {
        "matched": number_or_none(matched),
        **_columns("difference", "difference_low", "difference_high", bounds),
    }


def _against(arm: DefenceArm, curve: Sequence[DefenceArm], measure: str) -> dict[str, Any]:
    """Compare a defence with the curve of steering afterwards at the same trait score.

    Coherence and trait score leave the same question out at once; of the capability, whose items
    are others, the curve's trait scores stay.
    """
    target = _mean(arm.trait)
    at = np.array([_mean(point.trait) for point in curve])
    matched = _interpolated(target, at, np.array([_mean(p.values(measure)) for p in curve]))
    own = _without_each(arm.values(measure))
    others = np.array([_without_each(p.values(measure)) for p in curve])
    if measure == CAPABILITY:
        targets, places = np.full(len(own), target), np.repeat(at[:, np.newaxis], len(own), axis=1)
    else:
        targets = _without_each(arm.trait)
        places = np.array([_without_each(p.trait) for p in curve])
    left_out = [
        value - _interpolated(targets[i], places[:, i], others[:, i]) for i, value in enumerate(own)
    ]
    bounds = jackknife_interval(_mean(arm.values(measure)) - matched, left_out, IDENTITY)
    return {
        "matched": number_or_none(matched),
        **_columns("difference", "difference_low", "difference_high", bounds),
        "in_reach": bool(np.nanmin(at) <= target <= np.nanmax(at)),
    }


def _interpolated(target: float, at: FloatArray, values: FloatArray) -> float:
    """Return the value of a curve at ``target``, that of its nearest end beyond it."""
    known = np.isfinite(at) & np.isfinite(values)
    if math.isnan(target) or not known.any():
        return math.nan
    order = np.argsort(at[known], kind="stable")
    return float(np.interp(target, at[known][order], values[known][order]))


def _without_each(values: FloatArray) -> FloatArray:
    """Return the mean without each of ``values [n]``: ``[n]``; NaN where nothing is left."""
    known = np.isfinite(values)
    filled = np.where(known, values, 0.0)
    left = (known.sum() - known).astype(np.float64)
    return ratio(filled.sum() - filled, left)


def _mean(values: FloatArray) -> float:
    return float(np.nanmean(values)) if np.isfinite(values).any() else math.nan


def _columns(value: str, low: str, high: str, found: Any) -> dict[str, float | None]:
    named = {value: found.estimate, low: found.low, high: found.high}
    return numbers_or_none(named)


def gather_arms(
    responses: pd.DataFrame,
    traits: Mapping[str, float],
    coherence: Mapping[str, float],
    closed: pd.DataFrame,
) -> list[DefenceArm]:
    """Return the arms of one trait's strongest training data, and the model before training.

    Parameters
    ----------
    responses
        Table ``finetuned_responses`` of one trained trait.
    traits, coherence
        Scores 0-100 by ``response_id``, NaN where unscored.
    closed
        Table ``closed_answers`` of the same adapters.
    """
    own = responses[responses.trait == responses.trained]
    strongest = set(own.adapter[(own.arm != PLAIN) | (own.coefficient != 0)])
    steered = own.adapter[own.coefficient != 0]
    kept = own[own.adapter.isin(strongest | set(steered))] if len(steered) else own
    order = sorted(kept.question_id.unique())
    items = sorted(closed.item.unique())
    arms = []
    for (adapter, coefficient), part in kept.groupby(["adapter", "coefficient"], sort=False):
        named = part.arm.iloc[0]
        at = closed[(closed.adapter == adapter) & (closed.coefficient == coefficient)]
        scored = [traits.get(name, math.nan) for name in part.response_id]
        arms.append(
            DefenceArm(
                STEERED if coefficient else str(named),
                float(coefficient),
                _by_question(part, traits, order),
                _by_question(part, coherence, order),
                at.set_index("item").correct.reindex(items).to_numpy(dtype=np.float64),
                int(np.isnan(scored).sum()),
            )
        )
    return arms


def _by_question(
    part: pd.DataFrame, scores: Mapping[str, float], order: Sequence[str]
) -> FloatArray:
    """Return the mean score of every question's responses; NaN where none is scored."""
    values = pd.Series(
        [scores.get(name, math.nan) for name in part.response_id], index=part.question_id
    )
    return np.asarray(values.groupby(level=0).mean().reindex(order), dtype=np.float64)
