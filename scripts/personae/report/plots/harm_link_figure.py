"""Harm of the second turn against the first turn's projection on the Assistant Axis."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from personae.data.table_values import DEFAULT
from personae.report.plots import style
from personae.report.plots.label_placement import place_labels, select_extremes, settle
from personae.report.plots.style import Illustration, illustrated, panels
from personae.report.wording import bounds, capital, count, readable
from personae.science.harm_link import FIRST_TURNS, ROLE_MEANS, WITHIN_ROLES

_STATISTICS = (FIRST_TURNS, ROLE_MEANS, WITHIN_ROLES)
_TITLE = "Harm after a first turn in a role"
_MOST_NAMES = 10


@illustrated
def harm_link(points: pd.DataFrame, link: pd.DataFrame) -> Illustration:
    """Plot the rate of harm of every role against its projection, and the correlations.

    Parameters
    ----------
    points, link
        Tables ``harm_link_points`` and ``harm_link`` of one judge.
    """
    figure, grid = panels(1, 2, height=3.8, width_ratios=[1.5, 1.0])
    left, right = grid[0]
    along = points[(points.direction == "axis") & points.rate.notna()]
    if along.empty:
        style.absent(left, "No answer has a score.")
        style.absent(right, "No correlation.")
        return Illustration(figure, _TITLE, "No answer to a harmful request has a score.")
    _correlations(right, link)
    _roles(left, along, figure)
    return Illustration(figure, _TITLE, _finding(along, link))


def _roles(axes: Axes, along: pd.DataFrame, figure: Figure) -> None:
    """Draw first turns as small marks, and the mean of each role with its name."""
    rates = along.rate.astype(float)
    small: style.Look = {"s": 9, "color": style.NULL, "alpha": 0.5, "lw": 0}
    axes.scatter(along.projection, rates, label="first turn", **small)
    means = along.assign(rate=rates).groupby("role")[["projection", "rate"]].mean()
    assistant = means.index == DEFAULT
    for part, color, label in (
        (means[~assistant], style.PERSONA, "role"),
        (means[assistant], style.ASSISTANT, readable(DEFAULT)),
    ):
        look: style.Look = {"s": 40, "edgecolors": "white", "linewidths": 0.7, "zorder": 3}
        axes.scatter(part.projection, part.rate, color=color, label=label, **look)
    axes.set(
        xlabel="Projection of the first turn (toward the Assistant)",
        ylabel="Harmful answers in the second turn",
        title="Roles",
        ylim=(-0.06, 1.06),
    )
    axes.yaxis.set_major_formatter(PercentFormatter(1.0))
    axes.margins(x=0.08)
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=3, fontsize=7.4)
    settle(figure)
    roles = means[~assistant]
    named = roles.iloc[select_extremes(roles.projection.to_numpy(), _MOST_NAMES)]
    place_labels(
        axes,
        named.to_numpy(),
        [readable(str(name)) for name in named.index],
        obstacles=means.to_numpy(),
        fontsize=7.2,
        color=style.INK,
    )


def _correlations(axes: Axes, link: pd.DataFrame) -> None:
    """Draw each correlation along the axis, its null, and those along random directions."""
    places = {name: -i for i, name in enumerate(_STATISTICS)}
    axis, random = link[link.direction == "axis"], link[link.direction != "axis"]
    chance = random[random.value.notna()]
    look: style.Look = {"s": 18, "color": style.NULL, "alpha": 0.6, "lw": 0}
    axes.scatter(
        chance.value,
        chance.statistic.map(places).astype(float) - 0.2,
        label="random direction",
        **look,
    )
    for row in axis[axis.value.notna()].itertuples():
        lengths = style.error_lengths(row.value, row.low, row.high)
        bars: style.Look = {"fmt": "o", "color": style.ASSISTANT, "elinewidth": 1.4, "ms": 6}
        axes.errorbar(row.value, places[row.statistic], xerr=lengths, **bars)
        null: style.Look = {"color": style.MUTED, "ms": 9, "mew": 1.4}
        axes.plot(row.null_p05, places[row.statistic], "|", **null)
    axes.plot([], [], "|", color=style.MUTED, ms=9, mew=1.4, label="null, 5th %")
    style.rule(axes, 0.0, vertical=True)
    axes.set_yticks(list(places.values()), [capital(name) for name in places])
    axes.set(xlabel="Correlation of projection and harm", xlim=(-1.05, 1.05), ylim=(-2.6, 0.5))
    axes.set_title("Correlation")
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=2, fontsize=7.4)


def _finding(along: pd.DataFrame, link: pd.DataFrame) -> str:
    rows = link[link.direction == "axis"].set_index("statistic")
    rates = along.rate.astype(float)
    turns = count(len(along), "first turn")
    roles = count(along.role.nunique(), "role")
    text = f"After {turns} in {roles}, {rates.mean():.0%} of answers to requests are harmful"
    if FIRST_TURNS not in rows.index or pd.isna(rows.value[FIRST_TURNS]):
        return f"{text}; projection or harm does not vary, so that no correlation is defined."
    whole = rows.loc[FIRST_TURNS]
    text += (
        f"; harm and the projection of the first turn correlate with r = {whole.value:.2f} (95% "
        f"interval over roles {bounds(whole.low, whole.high)}, p = {whole.p_less:.3f} against "
        "whole roles dealt out; published: -0.39 to -0.52)"
    )
    within = rows.loc[WITHIN_ROLES]
    if pd.isna(within.value):
        return f"{text}."
    return f"{text}. Within roles r = {within.value:.2f} ({bounds(within.low, within.high)})."
