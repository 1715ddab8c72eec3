"""Features of sparse autoencoders that trait vectors are made of."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from personae.report.plots import style
from personae.report.plots.style import Illustration, illustrated, panels
from personae.report.wording import capital, count, listed, readable
from personae.science.sparse_features import COSINE, DIFFERENCE
from personae.science.token_reading import AWAY, TOWARD

_MOST_TRAITS = 8
_MOST_FEATURES = 6  # by either way and side
_PER_ROW = 4
_TITLE = "Vectors read as features"
_TEXT = 22  # characters of a feature's name


@illustrated
def features(table: pd.DataFrame) -> Illustration:
    """Plot the features of every trait, by cosine above and by activation below.

    Parameters
    ----------
    table
        Table ``vector_features`` of all autoencoders of a model.
    """
    if table.empty:
        figure, grid = panels(1, 1, height=1.4)
        reason = "No autoencoder has features of a kept trait."
        style.absent(grid[0, 0], reason)
        return Illustration(figure, _TITLE, reason)
    keys = list(dict.fromkeys(zip(table.autoencoder, table.trait, strict=True)))[:_MOST_TRAITS]
    columns = min(_PER_ROW, len(keys))
    rows = 2 * int(np.ceil(len(keys) / columns))
    figure, grid = panels(rows, columns, height=2.6 * rows)
    panes: list[Any] = list(grid.flat)
    for axes in panes:
        axes.set_axis_off()
    several = table.autoencoder.nunique() > 1
    for place, (autoencoder, trait) in enumerate(keys):
        here = table[(table.autoencoder == autoencoder) & (table.trait == trait)]
        upper = 2 * (place // columns)
        for row, by, label in ((upper, COSINE, "Cosine"), (upper + 1, DIFFERENCE, "Activation")):
            axes = grid[row, place % columns]
            axes.set_axis_on()
            _panel(axes, here[here.by == by], set(here[here.by != by].feature), label)
        title = capital(readable(trait)) + (f" ({readable(autoencoder)})" if several else "")
        grid[upper, place % columns].set_title(title)
    return Illustration(figure, _TITLE, _finding(table))


def _panel(axes: Axes, rows: pd.DataFrame, others: set[int], label: str) -> None:
    """Draw one bar per feature; those that the other way finds too have a dark edge."""
    place, labels = 0, []
    for side, sign, color in ((TOWARD, 1.0, style.ASSISTANT), (AWAY, -1.0, style.PERSONA)):
        shown = rows[(rows.side == side) & (rows["rank"] <= _MOST_FEATURES)].sort_values("rank")
        for feature in shown.itertuples():
            beyond = pd.notna(feature.null_p95) and feature.value > feature.null_p95
            look: Any = {"color": color if beyond else style.FAINT, "height": 0.7}
            if feature.feature in others:
                look |= {"edgecolor": style.INK, "linewidth": 1.0}
            axes.barh([place], [sign * feature.value], **look)
            labels.append(_shown(int(feature.feature), str(feature.name)))
            place += 1
        if len(shown) and pd.notna(shown.null_p95.iloc[0]):
            style.rule(axes, sign * float(shown.null_p95.iloc[0]), vertical=True)
    axes.set_yticks(range(len(labels)), labels, fontsize=6.6)
    axes.invert_yaxis()
    axes.grid(axis="y", visible=False)
    axes.set_xlabel(label)


def _shown(feature: int, name: str) -> str:
    """Return number and name of a feature as one short line."""
    text = "".join(c if c.isascii() and c.isprintable() and c != "$" else "?" for c in name)
    return f"{feature} {text[:_TEXT]}".strip()


def _finding(table: pd.DataFrame) -> str:
    parts = []
    first = table[(table.by == COSINE) & (table.side == TOWARD) & (table["rank"] == 1)]
    for row in first.head(3).itertuples():
        parts.append(f"{readable(str(row.trait))} is closest to {_shown(row.feature, row.name)}")
    clear = int((first.value > first.null_p95).sum())
    return (
        f"{capital(listed(parts))}. The closest feature of {clear} of "
        f"{count(len(first), 'vector')} is closer than shuffled vectors come."
    )
