"""How alike the persona spaces of a study's models are."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from personae.report.plots import style
from personae.report.plots.style import Illustration, illustrated, panels
from personae.report.wording import bounds, capital, count, readable
from personae.science.model_pairs import ALONG_AXIS, BASE_AND_INSTRUCT, COMPONENT, RSA_STATISTIC

_TITLE = "Persona space across models"


@illustrated
def model_comparison(table: pd.DataFrame, model: str) -> Illustration:
    """Plot every statistic of one model against each other model.

    Parameters
    ----------
    table
        Table ``model_comparison`` of the study.
    model
        The model whose pairs are shown.
    """
    rows = table[(table.left == model) | (table.right == model)]
    if rows.empty:
        figure, grid = panels(1, 1, height=1.4)
        reason = "No other model shares the eight roles that it takes."
        style.absent(grid[0, 0], reason)
        return Illustration(figure, _TITLE, reason)
    rows = rows.assign(other=np.where(rows.left == model, rows.right, rows.left))
    others = list(dict.fromkeys(rows.other))
    figure, grid = panels(1, len(others), width=2.4 + 2.6 * len(others), height=3.0, sharey=True)
    for place, (axes, other) in enumerate(zip(grid[0], others, strict=True)):
        here = rows[rows.other == other]
        _panel(axes, here, model, labelled=place == 0)
        related = (here.relation == BASE_AND_INSTRUCT).any()
        axes.set_title(f"{other} ({BASE_AND_INSTRUCT})" if related else other)
    figure.legend(loc="outside lower center", ncols=2)
    return Illustration(figure, _TITLE, _finding(rows, others))


def _panel(axes: Axes, rows: pd.DataFrame, model: str, *, labelled: bool) -> None:
    """Draw one line per statistic with its interval and its null."""
    names = [_named(row, model) for _, row in rows.iterrows()]
    places = -np.arange(len(rows), dtype=float)
    lengths = style.error_lengths(rows.value, rows.low, rows.high)
    bars: style.Look = {"fmt": "o", "color": style.ASSISTANT, "elinewidth": 1.4, "ms": 6}
    label = "correlation, 95% interval over roles" if labelled else None
    axes.errorbar(rows.value, places, xerr=lengths, label=label, **bars)
    null = "roles shuffled, 95th %" if labelled else None
    axes.plot(rows.null_p95, places, "|", color=style.MUTED, ms=10, mew=1.4, ls="", label=null)
    style.rule(axes, 0.0, vertical=True)
    axes.set_yticks(places, names)
    axes.set(xlim=(-0.55, 1.05), ylim=(places[-1] - 0.6, 0.6), xlabel="Correlation over roles")


def _named(row: pd.Series, model: str) -> str:
    if row.statistic != COMPONENT:
        return "Cosines between roles" if row.statistic == RSA_STATISTIC else "Places on the axis"
    own, other = (row.component, row.matched) if row.left == model else (row.matched, row.component)
    return f"PC {int(own) + 1} and its PC {int(other) + 1}"


def _finding(rows: pd.DataFrame, others: list[str]) -> str:
    parts = []
    for other in others:
        here = rows[rows.other == other].set_index("statistic")
        said = []
        if RSA_STATISTIC in here.index:
            found = here.loc[[RSA_STATISTIC]].iloc[0]
            said.append(f"cosines between roles {found.value:.2f} (p = {found.p_value:.3f})")
        if ALONG_AXIS in here.index:
            found = here.loc[[ALONG_AXIS]].iloc[0]
            said.append(f"places on the axis {found.value:.2f} ({bounds(found.low, found.high)})")
        parts.append(f"{readable(other)}: {', '.join(said)}")
    roles = count(int(rows.n_roles.min()), "role")
    return f"{capital('; '.join(parts))}, correlations over {roles} or more."
