"""Accuracy on capability items, with and without capping."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.ticker import PercentFormatter

from personae.report.plots import style
from personae.report.plots.style import Illustration, illustrated, panels
from personae.report.wording import bounds, capital
from personae.science.capability import ALL_KINDS
from personae.science.capping_arms import UNCAPPED

_LOOKS = {
    "none": ("uncapped", style.INK, "o"),
    "axis": ("capped along the axis", style.PERSONA, "s"),
}


@illustrated
def capability(changes: pd.DataFrame) -> Illustration:
    """Plot accuracy by kind of item for every arm, with Wilson bounds.

    Parameters
    ----------
    changes
        Table ``capability_changes`` of one model.
    """
    kinds = list(dict.fromkeys(changes.kind))
    figure, axes = panels(1, 1, height=3.6)
    axis = axes[0, 0]
    arms = list(changes.groupby("direction", sort=False))
    for place, (direction, rows) in enumerate(arms):
        label, colour, marker = _LOOKS.get(
            str(direction), ("capped along a random direction", style.NULL, "D")
        )
        rows = rows.set_index("kind").loc[kinds]
        at = np.arange(len(kinds)) + (place - (len(arms) - 1) / 2) * 0.18
        errors = np.vstack((rows.accuracy - rows.low, rows.high - rows.accuracy)).clip(0.0)
        axis.errorbar(
            at, rows.accuracy, errors, ls="", marker=marker, ms=5, color=colour, capsize=2,
            label=None if label in axis.get_legend_handles_labels()[1] else label,
        )  # fmt: skip
    counts = changes[changes.direction == UNCAPPED].set_index("kind").n
    axis.set_xticks(range(len(kinds)), [f"{capital(k)}\n(n = {counts[k]})" for k in kinds])
    axis.set(ylabel="Correct responses", ylim=(0, 1))
    axis.yaxis.set_major_formatter(PercentFormatter(1.0))
    figure.legend(loc="outside lower center", ncols=3)
    return Illustration(figure, "Capability with and without capping", _finding(changes))


def _finding(changes: pd.DataFrame) -> str:
    total = changes[changes.kind == ALL_KINDS].set_index("direction")
    if "axis" not in total.index:
        return "No cap along the axis was measured."
    before, capped = total.loc[UNCAPPED], total.loc["axis"]
    return (
        f"Of {int(before.n)} short items with exact answers, {before.accuracy:.0%} are answered "
        f"correctly without capping and {capped.accuracy:.0%} with the cap along the axis at "
        f"layers {capped.band.replace('-', ' to ')}, percentile {capped.percentile:g} (change "
        f"{capped.change:+.1%}, 95% interval "
        f"{bounds(capped.change_low, capped.change_high, '+.1%')}; {int(capped.lost)} lost, "
        f"{int(capped.gained)} gained, exact McNemar p = {capped.p:.2g})."
    )
