"""How well the user's message predicts the projection of the next turn."""

from __future__ import annotations

import numpy as np
import pandas as pd

from personae.report.plots import style
from personae.report.plots.style import Illustration, illustrated, panels
from personae.report.wording import bounds, capital, count

_COLORS = {"projection": style.ASSISTANT, "change": style.PERSONA}
_TITLE = "Prediction from user messages"


@illustrated
def drift_predictions(table: pd.DataFrame) -> Illustration:
    """Plot R2 of the next projection and of its change for every arm.

    Parameters
    ----------
    table
        Table ``drift_predictions`` of one model.
    """
    figure, grid = panels(1, 1, width=7.2, height=3.0)
    axes = grid[0, 0]
    if table.empty:
        style.absent(axes, "No arm has four conversations.")
        return Illustration(figure, _TITLE, "No arm has the four conversations that it needs.")
    arms = list(dict.fromkeys(table.arm))
    for shift, (target, color) in zip((-0.15, 0.15), _COLORS.items(), strict=True):
        rows = table[table.target == target].set_index("arm").reindex(arms)
        places = np.arange(len(arms)) + shift
        lengths = style.error_lengths(rows.r2, rows.r2_low, rows.r2_high)
        look: style.Look = {"fmt": "o", "color": color, "elinewidth": 1.4, "ms": 6}
        axes.errorbar(places, rows.r2, yerr=lengths, label=f"next {target}", **look)
        null = "messages dealt out, 95th %" if target == "change" else None
        axes.plot(places, rows.null_p95, "v", color=style.NULL, ms=6, label=null)
    style.rule(axes, 0.0, "the mean")
    axes.set_xticks(np.arange(len(arms)), [capital(arm) for arm in arms])
    axes.set(ylabel="R2, other conversations", xlim=(-0.6, len(arms) - 0.4))
    lowest = float(np.nanmin(table.r2_low.fillna(table.r2)))
    axes.set_ylim(bottom=max(-1.5, min(lowest, 0.0) - 0.1))
    axes.grid(axis="x", visible=False)
    figure.legend(loc="outside lower center", ncols=3)
    return Illustration(figure, _TITLE, _finding(table))


def _finding(table: pd.DataFrame) -> str:
    parts = [
        f"{row.arm}, next {row.target}: R2 {row.r2:.2f} ({bounds(row.r2_low, row.r2_high)}; "
        f"null {row.null_p95:.2f}; {count(int(row.n_conversations), 'conversation')})"
        for row in table.itertuples()
    ]
    return f"Ridge regression from the user's message in {'; '.join(parts)}."
