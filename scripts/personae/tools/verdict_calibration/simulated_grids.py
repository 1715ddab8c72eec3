"""What the simulated tables share: grids of units, judges' scores, and names."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Frames = dict[str, pd.DataFrame]
FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

JUDGES: Final = ("first", "second")
MIDDLE: Final = 0
"""The layer that stands for the middle one."""

NOISE: Final = 22.0
"""Standard deviation of a response's score 0-100: sampling and judge, as in the demo's tables."""

OF_QUESTION: Final = 20.0
"""Standard deviation of a question's own score."""


def grid(**axes: Iterable[object]) -> pd.DataFrame:
    """Cross the values of several columns, the last one fastest."""
    return pd.MultiIndex.from_product([list(v) for v in axes.values()], names=list(axes)).to_frame(
        index=False
    )


def names(letter: str, n: int) -> list[str]:
    """Return ``n`` names that sort in order."""
    return [f"{letter}{i:03d}" for i in range(n)]


def codes(column: pd.Series) -> IntArray:
    """Place of every value among the sorted distinct ones."""
    return np.unique(column.to_numpy(), return_inverse=True)[1].astype(np.int64)


def scored(
    responses: pd.DataFrame,
    truths: dict[str, FloatArray],
    rng: np.random.Generator,
    *,
    samples: int = 1,
    target: pd.Series | None = None,
) -> pd.DataFrame:
    """Score every response by both judges on every rubric, 0-100 and with the judges' own noise.

    Parameters
    ----------
    responses
        With a column ``response_id``; one row stands for the mean of ``samples`` responses.
    truths
        Rubric to the expected score of every row.
    target
        What is scored, row by row, where the table of scores names it.
    """
    parts = []
    noise = NOISE / np.sqrt(2 * samples)
    for rubric, true in truths.items():
        shared = true + rng.normal(0, noise, len(true))
        for judge in JUDGES:
            score = np.clip(shared + rng.normal(0, noise, len(true)), 0, 100)
            part = pd.DataFrame({"response_id": responses.response_id, "score": score})
            parts.append(part.assign(judge=judge, rubric=rubric))
    table = pd.concat(parts, ignore_index=True)
    return table if target is None else table.assign(target=list(target) * (2 * len(truths)))
