"""Separation of the default Assistant from roles that the axis was not made of."""

from __future__ import annotations

import numpy as np
import pandas as pd

from personae.report.plots import style
from personae.report.plots.label_placement import select_extremes
from personae.report.plots.style import Illustration, illustrated, panels
from personae.report.wording import bounds, count, readable
from personae.science.heldout_roles import EVERY_ROLE

_MOST_ROLES = 24


@illustrated
def heldout_roles(table: pd.DataFrame) -> Illustration:
    """Plot the AUC of every role along the axis computed without it, and along that of all.

    Parameters
    ----------
    table
        Table ``heldout_roles`` of one model.
    """
    every = table[table.role == EVERY_ROLE].iloc[0]
    roles = table[table.role != EVERY_ROLE].sort_values("auc").reset_index(drop=True)
    shown = roles.iloc[sorted(select_extremes(roles.auc.to_numpy(), _MOST_ROLES))]
    shown = shown.reset_index(drop=True)
    height = float(np.clip(1.5 + 0.2 * len(shown), 2.6, 6.5))
    figure, grid = panels(1, 1, width=7.2, height=height)
    axes, places = grid[0, 0], np.arange(len(shown))
    lengths = style.error_lengths(shown.auc, shown.auc_low, shown.auc_high)
    bars: style.Look = {"fmt": "none", "color": style.ASSISTANT, "elinewidth": 1.2, "alpha": 0.55}
    axes.errorbar(shown.auc, places, xerr=lengths, zorder=2, **bars)
    axes.plot(shown.null_p95, places, "v", color=style.NULL, ms=4, label="shuffled labels, 95th %")
    hollow: style.Look = {"color": style.ASSISTANT, "mfc": "white", "ms": 6}
    axes.plot(shown.auc_with, places, "o", label="axis of all roles", zorder=3, **hollow)
    axes.plot(
        shown.auc, places, "o", color=style.ASSISTANT, ms=5, zorder=4, label="without this role"
    )
    style.rule(axes, 0.5, "chance", vertical=True)
    axes.set_yticks(places, [readable(role) for role in shown.role], fontsize=7.6)
    axes.set(xlabel="AUC, default against role", ylim=(-0.7, len(shown) - 0.3))
    axes.set_xlim(min(0.4, float(shown.auc_low.min(skipna=True)) - 0.03), 1.02)
    axes.grid(axis="y", visible=False)
    figure.legend(loc="outside lower center", ncols=3)
    return Illustration(figure, "Roles that the axis was not made of", _finding(every))


def _finding(every: pd.Series) -> str:
    text = (
        f"An axis computed without a role separates the default Assistant from it with AUC "
        f"{every.auc:.2f} on average over {count(int(every.n_role), 'role')} (95% interval over "
        f"roles and questions {bounds(every.auc_low, every.auc_high)}; 95th percentile of "
        f"shuffled labels {every.null_p95:.2f}); the axis of all roles gives {every.auc_with:.2f}."
    )
    if pd.notna(every.auc_random):
        text += f" Random directions reach {every.auc_random:.2f}."
    return text
