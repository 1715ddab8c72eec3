"""Traits among each other, against the axis, and in the space of roles, with their nulls."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from personae.report.plots import style
from personae.report.plots.style import Illustration, illustrated, panels
from personae.report.wording import count, readable

_MOST = 20


@illustrated
def trait_positions(pairs: pd.DataFrame, positions: pd.DataFrame) -> Illustration:
    """Plot cosines between traits beyond the null, and where each trait lies.

    Parameters
    ----------
    pairs, positions
        Tables ``trait_pair_cosines`` and ``trait_positions``.
    """
    shown = positions.sort_values(["group", "trait"]).head(_MOST)
    names = list(shown.trait)
    figure, grid = panels(1, 3, height=0.22 * len(names) + 2.6)
    _matrix(grid[0, 0], pairs, names)
    _axis_panel(grid[0, 1], shown)
    _share_panel(grid[0, 2], shown)
    return Illustration(figure, "Geometry of trait vectors", _finding(pairs, positions))


def _matrix(axes: Axes, pairs: pd.DataFrame, names: list[str]) -> None:
    axes.set_title("Cosines between traits")
    values = np.eye(len(names))
    for row in pairs.itertuples():
        if row.left in names and row.right in names:
            i, j = names.index(row.left), names.index(row.right)
            values[i, j] = values[j, i] = row.cosine
            if abs(row.cosine) > row.null_p95:
                for place in ((i, j), (j, i)):
                    axes.plot(*place, ".", color=style.INK, ms=4)
    axes.imshow(values, cmap=style.DIVERGING, vmin=-1, vmax=1)
    labels = [readable(name) for name in names]
    axes.set_xticks(range(len(names)), labels, rotation=45, ha="right")
    axes.set_yticks(range(len(names)), labels)
    axes.grid(visible=False)


def _axis_panel(axes: Axes, rows: pd.DataFrame) -> None:
    axes.set_title("... to the Assistant Axis")
    places = np.arange(len(rows))
    axes.barh(places, rows.axis_cosine, color=style.ASSISTANT, height=0.6)
    for sign in (-1.0, 1.0):
        style.rule(axes, sign * float(rows.axis_null_p95.iloc[0]), vertical=True)
    axes.set_yticks(places, [])
    axes.invert_yaxis()
    axes.set_xlabel("Cosine (dashed: 95% of contrasts)")


def _share_panel(axes: Axes, rows: pd.DataFrame) -> None:
    axes.set_title("Share in the space of roles")
    places = np.arange(len(rows))
    axes.barh(places, rows.role_share, color=style.CAPPED, height=0.6)
    style.rule(axes, float(rows.chance_share.iloc[0]), "chance", vertical=True)
    axes.set_yticks(places, [])
    axes.invert_yaxis()
    axes.set(xlabel="Share of squared length", xlim=(0, 1))


def _finding(pairs: pd.DataFrame, positions: pd.DataFrame) -> str:
    beyond = int((pairs.cosine.abs() > pairs.null_p95).sum())
    away = int((positions.axis_cosine < -positions.axis_null_p95).sum())
    text = (
        f"{beyond} of {count(len(pairs), 'pair')} of traits have a cosine beyond that of 95% of "
        f"random contrasts between roles"
    )
    if len(pairs):
        text += f" ({pairs.null_p95.iloc[0]:.2f})"
    return (
        f"{text}; they form {count(positions.group.nunique(), 'group')}. {away} of "
        f"{count(len(positions), 'trait')} point away from the Assistant beyond that null, and "
        f"{positions.role_share.mean():.0%} of a trait vector lies in the space of roles "
        f"(chance: {positions.chance_share.iloc[0]:.0%})."
    )
