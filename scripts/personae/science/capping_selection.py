"""The best capping setting, chosen on one half of the clusters and reported on the other.

Taking the best of a dozen settings and reporting it on the items that chose it overstates the
effect. Here each half of the clusters is reported with the setting that is best on the other half.

The two halves are not independent. Where both choose the same setting by chance, it is because that
setting did well in both, and both report a large change; where they choose different ones, both
report a small one. The standard error of independent clusters takes no account of it.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

_AGREEMENT: Final = 0.36
"""Largest correlation of the two halves' errors, simulated for 2 to 24 settings of normal noise,
any of which may be better than the others: 0.32 for two settings that are alike, 0.36 for three,
0.24 for twelve, and less where one is better. What settings have in common, such as the responses
without a cap, lowers it."""


class HeldOut(NamedTuple):
    """Changes of every item under the setting that other items chose.

    Attributes
    ----------
    changes
        ``[items]`` indexed as the input; NaN where no setting was affordable.
    settings
        The setting that each half's other half chose, in order.
    widening
        Factor of the standard error of the changes' mean over independent clusters; 1 where one
        half had nothing to choose.
    """

    changes: pd.Series
    settings: list[str]
    widening: float


def halves(clusters: pd.Index) -> NDArray[np.bool_]:
    """Divide items into two halves by whole clusters, every second one in order: ``[items]``."""
    order = {label: i % 2 == 0 for i, label in enumerate(sorted(set(clusters)))}
    return np.array([order[label] for label in clusters], dtype=bool)


def held_out_best(
    reductions: pd.DataFrame, affordable: pd.DataFrame, clusters: pd.Index
) -> HeldOut:
    """Choose the setting with the largest mean reduction on each half, and report the other.

    Parameters
    ----------
    reductions
        ``[items, settings]`` reduction of every item under every setting, NaN if unscored.
    affordable
        ``[2, settings]`` whether a setting's cost is acceptable, judged on items that take no part
        in the reported number: row 0 for choosing on the first half, row 1 on the second.
    clusters
        ``[items]`` cluster of every item.
    """
    first = halves(clusters)
    changes = pd.Series(np.nan, index=reductions.index)
    chosen, choices = [], []
    for row, choosing in enumerate((first, ~first)):
        means = reductions[choosing].mean()[affordable.iloc[row]]
        if means.isna().all():
            continue
        best = str(means.idxmax())
        chosen.append(best)
        choices.append(int(means.notna().sum()))
        changes[~choosing] = reductions.loc[~choosing, best]
    dependent = len(choices) == 2 and min(choices) > 1
    return HeldOut(changes, chosen, float(np.sqrt(1.0 + _AGREEMENT)) if dependent else 1.0)
