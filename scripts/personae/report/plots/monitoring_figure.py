"""Monitoring: projection of the last prompt token against the trait score of the response."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from personae.data.table_values import MANY_SHOT, SYSTEM_PROMPT
from personae.report.plots import style
from personae.report.plots.style import Illustration, illustrated, panels
from personae.report.wording import capital, count, readable
from personae.science.monitoring import ALL

_MOST_TRAITS = 12  # the first by name; the tables hold all
_PER_ROW = 4


@illustrated
def monitoring(
    points: pd.DataFrame, correlations: pd.DataFrame, alerts: pd.DataFrame
) -> Illustration:
    """Plot every rollout of every trait at its chosen layer, coloured by the prompt's grade.

    Parameters
    ----------
    points, correlations, alerts
        Tables ``monitoring_points``, ``monitoring`` and ``monitoring_alerts`` of all traits.
    """
    traits = sorted(points.trait.unique())[:_MOST_TRAITS]
    figure, grid = _grid(len(traits))
    grades = points.grade[points.kind == SYSTEM_PROMPT]
    shades = Normalize(float(grades.min()), float(grades.max()))
    chosen = correlations[correlations.chosen & (correlations.kind == ALL)].set_index("trait")
    for trait, axes in zip(traits, grid, strict=True):
        _panel(axes, points[points.trait == trait], shades)
        found = chosen.loc[trait]
        axes.set_title(capital(readable(trait)))
        for threshold in alerts.threshold[alerts.trait == trait].dropna():
            style.rule(axes, float(threshold), vertical=True)
        text = f"r = {_r(found.pooled)} pooled\n{_r(found.within)} within prompts"
        axes.text(0.03, 0.97, text, transform=axes.transAxes, va="top", fontsize=7.4)
    marks = ScalarMappable(shades, style.SEQUENTIAL)
    style.color_bar(marks, grid[-1], "System prompt, from suppressing to inducing")
    _legend(figure)
    return Illustration(
        figure, "Predicting the trait score from the last prompt token", _finding(chosen, traits)
    )


def _grid(n: int) -> tuple[Figure, list[Axes]]:
    rows = int(np.ceil(n / _PER_ROW))
    columns = int(np.ceil(n / rows))
    figure, axes = panels(rows, columns, height=3.1 * rows + 0.4, sharey=True)
    for spare in axes.flat[n:]:
        spare.set_axis_off()
    for row in axes:
        row[0].set_ylabel("Trait score (0-100)")
    for axis in axes.flat[:n]:
        axis.set(xlabel="Projection of the\nlast prompt token", ylim=(-4, 128))
        axis.set_yticks(range(0, 101, 25))
    return figure, list(axes.flat[:n])


def _panel(axes: Axes, points: pd.DataFrame, shades: Normalize) -> None:
    """Draw rollouts as small marks and the mean of each prompt as a large mark."""
    for kind, marker in ((SYSTEM_PROMPT, "o"), (MANY_SHOT, "^")):
        rows = points[points.kind == kind]
        look: style.Look = {"color": style.PERSONA}
        if kind == SYSTEM_PROMPT:
            look = {"c": rows.grade, "cmap": style.SEQUENTIAL, "norm": shades}
        axes.scatter(rows.projection, rows.score, s=9, marker=marker, alpha=0.55, lw=0, **look)
        means = rows.groupby("grade")[["projection", "score"]].mean()
        if kind == SYSTEM_PROMPT:
            look["c"] = means.index
        edges: style.Look = {"edgecolors": style.INK, "linewidths": 0.7, "zorder": 3}
        axes.scatter(means.projection, means.score, s=46, marker=marker, **look, **edges)


def _legend(figure: Figure) -> None:
    plain: style.Look = {"ls": "", "mec": style.INK, "mew": 0.7}
    handles = [
        Line2D([], [], marker="o", ms=6.5, mfc="#7FB2DB", label="mean of a system prompt", **plain),
        Line2D([], [], marker="^", ms=6.5, mfc=style.PERSONA, label="after examples", **plain),
        Line2D([], [], marker="o", ms=3, color=style.NULL, ls="", label="one response"),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles))


def _finding(chosen: pd.DataFrame, traits: Sequence[str]) -> str:
    rows = chosen.loc[list(traits)]
    best = rows.pooled.astype(float).idxmax() if rows.pooled.notna().any() else None
    if best is None:
        return "No correlation is defined: projections or scores do not vary."
    apart = int((rows.within_low.astype(float) > 0).sum())
    return (
        f"The projection of the last prompt token predicts the trait score of the response best "
        f"for {readable(best)} (r = {_r(rows.pooled[best])} over all prompts, 95% interval "
        f"{_r(rows.pooled_low[best])} to {_r(rows.pooled_high[best])}; published: 0.75 to 0.83). "
        f"Differences between prompts inflate this correlation: within prompts, the interval lies "
        f"above 0 for {apart} of {count(len(rows), 'trait')}."
    )


def _r(value: float | None) -> str:
    return "undefined" if value is None or np.isnan(value) else f"{value:.2f}"
