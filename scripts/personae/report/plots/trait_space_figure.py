"""Trait space against the Assistant Axis, and roles and traits in one plane."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.transforms import Bbox

from personae.report.plots import style
from personae.report.plots.label_placement import place_labels, select_extremes, settle
from personae.report.plots.style import Illustration, illustrated, panels
from personae.report.wording import both_ends, bounds, count, listed, readable

_MOST_TRAITS = 24
_MOST_LABELS = 14
_COLORS = {"role": style.ASSISTANT, "trait": style.PERSONA}


@illustrated
def trait_space(
    cosines: pd.DataFrame, components: pd.DataFrame, plane: pd.DataFrame
) -> Illustration:
    """Plot the cosines of traits with the axis, and roles and traits in one plane.

    Parameters
    ----------
    cosines, components, plane
        Tables ``trait_space_cosines``, ``trait_space_components``, ``trait_space_plane``.
    """
    ordered = cosines.sort_values("cosine").reset_index(drop=True)
    shown = ordered.iloc[sorted(select_extremes(ordered.cosine.to_numpy(), _MOST_TRAITS))]
    shown = shown.reset_index(drop=True)
    height = float(np.clip(1.8 + 0.2 * len(shown), 4.2, 6.5))
    figure, grid = panels(1, 2, height=height, width_ratios=[1.0, 1.15])
    _cosines(grid[0, 0], shown)
    _plane(grid[0, 1], plane)
    settle(figure)
    _names(grid[0, 1], plane)
    return Illustration(
        figure, "Trait space and the Assistant Axis", _finding(ordered, components.iloc[0])
    )


def _cosines(axes: Axes, shown: pd.DataFrame) -> None:
    """Draw the cosine of every trait with its interval, over the null's band."""
    places, null = np.arange(len(shown)), float(shown.null_p95.iloc[0])
    axes.axvspan(-null, null, color=style.NULL, alpha=0.2, lw=0, label="null, 95 %")
    axes.axvline(0, color=style.FAINT, zorder=1)
    lengths = style.error_lengths(shown.cosine, shown.cosine_low, shown.cosine_high)
    bars: style.Look = {"fmt": "o", "color": style.PERSONA, "elinewidth": 1.2, "ms": 4.5}
    axes.errorbar(shown.cosine, places, xerr=lengths, **bars)
    axes.set_yticks(places, [readable(trait) for trait in shown.trait], fontsize=7.6)
    axes.set(xlabel="Cosine with the Assistant Axis", ylim=(-0.7, len(shown) - 0.3))
    axes.grid(axis="y", visible=False)
    axes.set_title("Traits along the axis")
    axes.legend(loc="lower right")


def _plane(axes: Axes, plane: pd.DataFrame) -> None:
    """Draw roles and traits by their cosines with the axis and with the component."""
    for kind, marker in (("role", "o"), ("trait", "^")):
        rows = plane[plane.kind == kind]
        look: style.Look = {"color": _COLORS[kind], "edgecolors": "white", "linewidths": 0.5}
        axes.scatter(
            rows.axis_cosine, rows.component_cosine, s=40, marker=marker, label=f"{kind}s", **look
        )
    axes.axhline(0, color=style.FAINT, zorder=1)
    axes.axvline(0, color=style.FAINT, zorder=1)
    axes.margins(0.14)
    axes.set(
        xlabel="Cosine with the Assistant Axis", ylabel="Cosine with PC 1 of traits, off the axis"
    )
    axes.set_title("Roles and traits in one plane")
    axes.legend(loc="best")


def _names(axes: Axes, plane: pd.DataFrame) -> None:
    """Label the extremes of both kinds along the axis."""
    points = plane[["axis_cosine", "component_cosine"]].to_numpy()
    taken: list[Bbox] = []
    for kind, color in _COLORS.items():
        rows = plane.reset_index(drop=True)
        rows = rows[rows.kind == kind]
        chosen = rows.iloc[select_extremes(rows.axis_cosine.to_numpy(), _MOST_LABELS)]
        places = chosen[["axis_cosine", "component_cosine"]].to_numpy()
        look: style.Look = {"fontsize": 7.2, "color": color, "drop_crowded": True}
        names = [readable(name) for name in chosen.name]
        taken = place_labels(axes, places, names, obstacles=points, taken=taken, **look)


def _finding(ordered: pd.DataFrame, first: pd.Series) -> str:
    beyond = int((ordered.cosine.abs() > ordered.null_p95).sum())
    near, far = both_ends([readable(trait) for trait in ordered.trait[::-1]], 3)
    order = (
        f"{listed(near)} point{'s' if len(near) == 1 else ''} most toward the Assistant and "
        f"{listed(far)} most away from it"
    )
    if not far:
        order = f"{listed(near)} has a cosine of {ordered.cosine.iloc[0]:+.2f} with the axis"
    return (
        f"Of {count(len(ordered), 'trait')}, {order}; {beyond} "
        f"exceed{'s' if beyond == 1 else ''} the null ({ordered.null_p95[0]:.2f}). "
        f"The first component of trait space has |cos| {first.cosine:.2f} with the axis (95% "
        f"interval over traits {bounds(first.cosine_low, first.cosine_high)}; null "
        f"{first.null_p95:.2f})."
    )
