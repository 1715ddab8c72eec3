"""An alarm on the last prompt token: a threshold chosen on half of the questions (PV, monitoring).

A rollout counts as showing the trait when its score is at least `SHOWN`. The threshold is the
lowest projection that at most the allowed share of the other rollouts of the first half exceed; how
often it is right is measured on the second half, which chose nothing.
"""

from __future__ import annotations

import math
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from personae.data.table_values import number_or_none, numbers_or_none
from personae.science.monitoring import Monitored
from personae.science.statistics import auc_interval, wilson

FloatArray = NDArray[np.float64]

SHOWN: Final = 50.0
"""Trait score from which on a response shows the trait."""


class _Half(NamedTuple):
    """Projections of rollouts that show the trait, and of those that do not."""

    shown: FloatArray
    other: FloatArray
    shown_questions: NDArray[Any]
    other_questions: NDArray[Any]


def alert_rows(monitored: Monitored, most: float) -> list[dict[str, Any]]:
    """Choose the threshold of one trait and test it. One row of ``monitoring_alerts``.

    Parameters
    ----------
    monitored
        Rollouts of one trait, at its chosen layer.
    most
        Largest share of rollouts without the trait that may raise the alarm in the first half.

    Returns
    -------
    list of dict
        ``threshold`` is a projection ``<h, u>`` on the unit trait vector; an alarm is a projection
        above it. ``false_alarms`` and ``caught`` are shares of the second half with Wilson bounds.
        What a half cannot tell, for lack of rollouts of either kind, is null.
    """
    chosen, tested = _halves(monitored)
    threshold = _threshold(chosen.other, most)
    row: dict[str, Any] = {
        "trait": monitored.rollouts.trait.iloc[0],
        "layer": monitored.chosen_layer,
        "shown_from": SHOWN,
        "most_false_alarms": most,
        "threshold": number_or_none(threshold),
        "n_choosing": len(chosen.other),
        "n_shown": len(tested.shown),
        "n_other": len(tested.other),
    }
    if not math.isnan(threshold):
        for name, values in (("false_alarms", tested.other), ("caught", tested.shown)):
            found = wilson(int((values > threshold).sum()), len(values))
            if len(values):
                row |= found.columns(name)
    if len(tested.shown) and len(tested.other):
        auc = auc_interval(
            tested.shown, tested.other, tested.shown_questions, tested.other_questions
        )
        row |= numbers_or_none(auc.columns("auc"))
    return [row]


def _threshold(other: FloatArray, most: float) -> float:
    """Return the lowest projection that at most the share ``most`` of ``other`` lies above."""
    if not len(other):
        return math.nan
    allowed = int(most * len(other))
    return float(np.sort(other)[len(other) - 1 - allowed])


def _halves(monitored: Monitored) -> tuple[_Half, _Half]:
    """Divide the scored rollouts by question: every second one, in the order of their names."""
    at = monitored.projections[:, monitored.layers.index(monitored.chosen_layer)]
    questions = monitored.rollouts.question_id.to_numpy()
    second = np.isin(questions, np.unique(questions)[1::2])
    scored = ~np.isnan(monitored.scores)
    shown = monitored.scores >= SHOWN
    parts = []
    for half in (~second, second):
        yes, no = half & scored & shown, half & scored & ~shown
        parts.append(_Half(at[yes], at[no], questions[yes], questions[no]))
    return parts[0], parts[1]
