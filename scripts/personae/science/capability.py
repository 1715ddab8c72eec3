"""Accuracy on capability items by arm, and its change against the uncapped arm."""

from __future__ import annotations

from typing import Any, Final

import pandas as pd

from personae.science.capping_arms import UNCAPPED
from personae.science.cluster_inference import paired_proportions
from personae.science.statistics import wilson

ALL_KINDS: Final = "all"


def capability_changes(answers: pd.DataFrame) -> list[dict[str, Any]]:
    """Return rows of ``capability_changes``: one per arm and kind, and per arm for all kinds.

    Parameters
    ----------
    answers
        Columns ``direction``, ``band``, ``percentile``, ``kind``, ``item`` and ``correct`` of
        ``capability_responses``; every arm has the same items.

    Returns
    -------
    list of dict
        ``accuracy`` with 95% Wilson bounds; ``change``, capped minus uncapped over the same items,
        with Tango's paired score interval; ``lost`` and ``gained`` items; ``p``, exact two-sided
        McNemar. Changes are null for the uncapped arm.
    """
    rows = []
    before = answers[answers.direction == UNCAPPED].set_index("item")
    arms = ["direction", "band", "percentile"]
    for (direction, band, percentile), arm in answers.groupby(arms, dropna=False, sort=False):
        cells = {"direction": direction, "band": band}
        cells["percentile"] = None if direction == UNCAPPED else percentile
        for kind in (ALL_KINDS, *dict.fromkeys(arm.kind)):
            part = arm if kind == ALL_KINDS else arm[arm.kind == kind]
            reference = None if direction == UNCAPPED else before.loc[part["item"]]
            rows.append({**cells, "kind": kind, **_change(part, reference)})
    return rows


def _change(part: pd.DataFrame, before: pd.DataFrame | None) -> dict[str, Any]:
    right = part.correct.to_numpy(dtype=bool)
    share = wilson(int(right.sum()), len(right))
    found: dict[str, Any] = {
        "n": len(right), "accuracy": share.estimate, "low": share.low, "high": share.high,
    }  # fmt: skip
    if before is None:
        return found
    was = before.correct.to_numpy(dtype=bool)
    lost, gained = int((was & ~right).sum()), int((~was & right).sum())
    change = paired_proportions(was, right)
    return {
        **found,
        "change": change.estimate,
        "change_low": change.low,
        "change_high": change.high,
        "lost": lost,
        "gained": gained,
        "p": mcnemar(lost, gained),
    }


def mcnemar(lost: int, gained: int) -> float:
    """Return the exact two-sided p-value of discordant pairs under equal chances."""
    from scipy.stats import binomtest

    return float(binomtest(lost, lost + gained).pvalue) if lost + gained else 1.0
