"""Tokens that trait vectors and the axis raise and lower, by the model's own head."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from personae.report.plots import style
from personae.report.plots.style import Illustration, illustrated, panels
from personae.report.wording import capital, count, listed, readable
from personae.science.token_reading import AWAY, TOWARD

_MOST = 8  # directions, and tokens a side
_PER_ROW = 4


@illustrated
def tokens(table: pd.DataFrame) -> Illustration:
    """Plot the tokens of every direction with their logits; grey lines are the null's reach.

    Parameters
    ----------
    table
        Table ``vector_tokens``.
    """
    names = list(dict.fromkeys(table.direction))[:_MOST]
    columns = min(_PER_ROW, len(names))
    rows = int(np.ceil(len(names) / columns))
    figure, grid = panels(rows, columns, height=3.4 * rows)
    panes: list[Any] = list(grid.flat)
    for spare in panes[len(names) :]:
        spare.set_axis_off()
    for name, axes in zip(names, panes, strict=False):
        _panel(axes, table[table.direction == name])
        axes.set_title(capital(readable(name)))
    return Illustration(figure, "Vectors read as tokens", _finding(table, names))


def _panel(axes: Axes, rows: pd.DataFrame) -> None:
    place, labels = 0, []
    for side, sign, color in ((TOWARD, 1.0, style.ASSISTANT), (AWAY, -1.0, style.PERSONA)):
        shown = rows[(rows.side == side) & (rows["rank"] <= _MOST)].sort_values("rank")
        beyond = shown.logit > shown.null_p95
        for token, logit, clear in zip(shown.token, shown.logit, beyond, strict=True):
            axes.barh([place], [sign * logit], color=color if clear else style.FAINT, height=0.7)
            labels.append(_shown(token))
            place += 1
        style.rule(axes, sign * float(shown.null_p95.iloc[0]), vertical=True)
    axes.set_yticks(range(len(labels)), labels, fontsize=7)
    axes.invert_yaxis()
    axes.grid(axis="y", visible=False)
    axes.set_xlabel("Logit")


def _shown(token: str) -> str:
    """Return a token as one short line of printable characters."""
    text = token.replace("\n", "\\n").replace("\t", "\\t").replace("$", r"\$")
    text = "".join(c if c.isascii() and c.isprintable() else "?" for c in text)
    return f"'{text[:14]}'"


def _finding(table: pd.DataFrame, names: list[str]) -> str:
    parts = []
    for name in names[:3]:
        rows = table[(table.direction == name) & (table.side == TOWARD)].sort_values("rank")
        words = [_shown(token) for token in rows.token[:3]]
        parts.append(f"{readable(name)} raises {listed(words)}")
    clear = table[table.logit > table.null_p95].groupby(["direction", "side"]).size()
    total = table.groupby(["direction", "side"]).ngroups
    return (
        f"{capital('; '.join(parts))}. Of {count(total, 'side')} of directions, {len(clear)} have "
        "tokens beyond what vectors with shuffled coordinates reach."
    )
