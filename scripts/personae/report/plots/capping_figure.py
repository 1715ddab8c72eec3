"""The trade-off of activation capping: reduction of role play against loss of capability."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import PercentFormatter
from matplotlib.transforms import Bbox

from personae.data.effect_tables import HARMS, TradeoffArms, tradeoff_arms
from personae.report.plots import style
from personae.report.plots.label_placement import place_labels, settle
from personae.report.plots.style import Illustration, illustrated, panels
from personae.report.wording import bounds, capital, span

CAPABILITIES = {
    "neutral_log_likelihood": (
        "Change in log-likelihood of uncapped responses (nats per token)",
        "nats per token",
    ),
    "closed_accuracy": ("Change in accuracy on closed questions", "accuracy"),
}
"""Measures that capping should not lower, with their axis label and short unit."""


@illustrated
def tradeoff(table: pd.DataFrame) -> Illustration:
    """Plot reduction of role play against change of capability, by band and percentile.

    Parameters
    ----------
    table
        Rows of ``capping_tradeoff`` of one judge, and the judge-free capability measures.
    """
    measured = set(table.measure)
    harms = [name for name in HARMS if name in measured]
    costs = [name for name in CAPABILITIES if name in measured]
    bands = sorted(table.band[table.percentile.notna()].unique(), key=_first_layer)
    height = 0.6 + 3.5 * len(harms)
    figure, axes = panels(len(harms), len(costs), height=height, sharex="col", sharey="row")
    grid = {
        (i, j): tradeoff_arms(table, harm, cost)
        for i, harm in enumerate(harms)
        for j, cost in enumerate(costs)
    }
    for place, arms in grid.items():
        _panel(axes[place], arms, bands)
    for i, harm in enumerate(harms):
        axes[i, 0].set_ylabel(f"Reduction in responses fully\nin persona, {HARMS[harm]}")
    for j, cost in enumerate(costs):
        axes[-1, j].set_xlabel(CAPABILITIES[cost][0])
    handles = _legend(bands)
    figure.legend(handles=handles, loc="outside lower center", ncols=min(len(handles), 5))
    settle(figure)
    for place, arms in grid.items():
        _label_percentiles(axes[place], arms, bands)
    finding = _finding([(harm, grid[i, 0]) for i, harm in enumerate(harms)], costs[0])
    return Illustration(figure, "Effect and cost of activation capping", finding)


def _legend(bands: Sequence[str]) -> list[Line2D]:
    handles = [
        Line2D([], [], color=color, marker="o", label=f"axis, layers {span(band)}")
        for color, band in zip(style.CYCLE, bands, strict=False)
    ]
    label = "random direction, same bands and percentiles"
    hollow: style.Look = {"color": style.NULL, "marker": "o", "mfc": "none", "lw": 0}
    return [*handles, Line2D([], [], label=label, **hollow)]


def _first_layer(band: str) -> tuple[int, ...]:
    return tuple(int(layer) for layer in band.split("-"))


def _panel(axes: Axes, arms: TradeoffArms, bands: Sequence[str]) -> None:
    axes.axhline(0, color=style.MUTED, lw=0.8)
    axes.axvline(0, color=style.MUTED, lw=0.8)
    hollow: style.Look = {"fmt": "o", "color": style.NULL, "mfc": "white", "ms": 4.5}
    _bars(axes, arms.random, elinewidth=0.5, alpha=0.75, **hollow)
    for color, band in zip(style.CYCLE, bands, strict=False):
        rows = arms.axis[arms.axis.band == band].sort_values("percentile")
        _bars(axes, rows, elinewidth=0.8, alpha=0.45, fmt="none", color=color)
        axes.plot(rows.x, rows.y, color=color, lw=1.0, alpha=0.7, zorder=3)
        edges: style.Look = {"edgecolors": "white", "linewidths": 0.8, "color": color}
        axes.scatter(rows.x, rows.y, s=28 + 1.1 * rows.percentile, zorder=4, **edges)
    axes.yaxis.set_major_formatter(PercentFormatter(1.0))
    lowest = pd.concat([arms.axis.y_low, arms.random.y_low, pd.Series([-0.05])]).min()
    axes.set_ylim(max(-1.05, lowest - 0.05), 1.12)  # intervals from few items can extend further
    corner: style.Look = {
        "transform": axes.transAxes,
        "ha": "right",
        "va": "top",
        "fontstyle": "italic",
    }
    text = "better \N{NORTH EAST ARROW}"
    axes.text(0.985, 0.975, text, fontsize=7.5, color=style.MUTED, **corner)


def _bars(axes: Axes, rows: pd.DataFrame, **look: Any) -> None:
    """Draw points with horizontal and vertical intervals."""
    lengths: style.Look = {"xerr": _spread(rows, "x"), "yerr": _spread(rows, "y")}
    axes.errorbar(rows.x, rows.y, zorder=2, **lengths, **look)


def _label_percentiles(axes: Axes, arms: TradeoffArms, bands: Sequence[str]) -> None:
    """Label each setting with its percentile; the layout must be final, see `settle`."""
    taken: list[Bbox] = []
    obstacles = np.concatenate([_along_bars(arms.axis, "x"), _along_bars(arms.axis, "y")])
    for color, band in zip(style.CYCLE, bands, strict=False):
        rows = arms.axis[(arms.axis.band == band) & arms.axis.y.notna()]
        rows = rows.groupby(["x", "y"], as_index=False).percentile.agg(_joined)
        points = rows[["x", "y"]].to_numpy(dtype=np.float64)
        names = [f"p{percentile}" for percentile in rows.percentile]
        look: style.Look = {"fontsize": 7.0, "color": color}
        taken = place_labels(axes, points, names, obstacles=obstacles, taken=taken, **look)


def _joined(percentiles: pd.Series) -> str:
    """Format percentiles of one band with the same position, such as ``1, 25``."""
    return ", ".join(f"{percentile:g}" for percentile in sorted(percentiles))


def _along_bars(rows: pd.DataFrame, name: str) -> np.ndarray:
    """Points ``[m, 2]`` along the error bars in x or y, as obstacles for labels."""
    spots = [
        np.linspace(rows[f"{name}_low"], rows[f"{name}_high"], 15).ravel(),
        np.tile(rows["y" if name == "x" else "x"], 15),
    ]
    points = np.stack(spots if name == "x" else spots[::-1], axis=1).astype(np.float64)
    return np.asarray(points[np.isfinite(points).all(axis=1)])


def _spread(rows: pd.DataFrame, name: str) -> np.ndarray:
    """Lengths of error bars ``[2, n]``; a missing interval has length zero."""
    value = rows[name].to_numpy(dtype=np.float64)
    low, high = (rows[f"{name}_{end}"].to_numpy(dtype=np.float64) for end in ("low", "high"))
    return np.asarray(np.nan_to_num(np.clip(np.stack([value - low, high - value]), 0.0, None)))


def _finding(by_harm: list[tuple[str, TradeoffArms]], capability: str) -> str:
    unit = CAPABILITIES[capability][1]
    parts = []
    for harm, arms in by_harm:
        if arms.axis.y.isna().all():
            parts.append(f"on {HARMS[harm]} no response is fully in persona even without capping")
            continue
        best = arms.axis.loc[arms.axis.y.idxmax()]
        same = arms.random[
            (arms.random.band == best.band) & (arms.random.percentile == best.percentile)
        ]
        text = (
            f"on {HARMS[harm]} (n = {best.n}, {best.uncapped:.0%} fully in persona uncapped) "
            f"the strongest setting (layers {span(best.band)}, percentile "
            f"{best.percentile:g}) reduces responses fully in persona by {best.y:.0%} (95% "
            f"interval {bounds(best.y_low, best.y_high, '.0%')}) with a change of "
            f"{best.x:+.2f} {unit}"
        )
        if len(same):
            text += f"; a random direction by {same.y.mean():.0%} with {same.x.mean():+.2f}"
        parts.append(text)
    return f"{capital('; '.join(parts))}."
