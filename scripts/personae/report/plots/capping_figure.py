"""The trade-off of activation capping: reduction of role play against loss of capability."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import PercentFormatter

from personae.data.effect_tables import HARMS, TradeoffArms, tradeoff_arms
from personae.report.plots import style
from personae.report.plots.style import Illustration, illustrated, panels
from personae.report.wording import bounds, capital, span, typeset

CAPABILITIES = {
    "neutral_log_likelihood": (
        "Change in log-likelihood of\nuncapped responses (nats per token)",
        "nats per token",
    ),
    "closed_accuracy": ("Change in accuracy\non closed questions", "accuracy"),
}
"""Measures that capping should not lower, with their axis label and short unit."""


@illustrated
def tradeoff(table: pd.DataFrame) -> Illustration:
    """Plot reduction of role play by band and percentile, and against change of capability.

    Parameters
    ----------
    table
        Rows of ``capping_tradeoff`` of one judge, and the judge-free capability measures.
    """
    measured = set(table.measure)
    harms = [name for name in HARMS if name in measured]
    costs = [name for name in CAPABILITIES if name in measured]
    bands = sorted(table.band[table.percentile.notna()].unique(), key=_first_layer)
    ratios = [1.15, *(1.0 for _ in costs)]
    figure, axes = panels(
        len(harms), 1 + len(costs), height=0.6 + 3.5 * len(harms), width_ratios=ratios
    )
    found = []
    for i, harm in enumerate(harms):
        arms = [tradeoff_arms(table, harm, cost) for cost in costs]
        found.append((harm, arms[0]))
        _heat_map(axes[i, 0], arms[0], bands, HARMS[harm])
        for j, here in enumerate(arms, start=1):
            axes[i, j].sharex(axes[0, j])
            axes[i, j].sharey(axes[i, 1])
            _panel(axes[i, j], here, bands)
        axes[i, 1].set_ylabel(f"Reduction in responses fully\nin persona, {HARMS[harm]}")
    axes[-1, 0].set_xlabel("Percentile of the cap\n(in brackets: random directions)")
    for j, cost in enumerate(costs, start=1):
        axes[-1, j].set_xlabel(CAPABILITIES[cost][0])
    handles = _legend(bands)
    figure.legend(handles=handles, loc="outside lower center", ncols=min(len(handles), 5))
    return Illustration(figure, "Effect and cost of activation capping", _finding(found, costs[0]))


def _heat_map(axes: Axes, arms: TradeoffArms, bands: Sequence[str], where: str) -> None:
    """Draw the reduction of every band and percentile, with that of random directions below it."""
    percentiles = sorted(arms.axis.percentile.unique())
    shown, null = (
        rows.groupby(["band", "percentile"]).y.mean().unstack().reindex(bands, columns=percentiles)
        for rows in (arms.axis, arms.random)
    )
    values = shown.to_numpy(dtype=np.float64)
    axes.imshow(values, cmap=style.DIVERGING, vmin=-1, vmax=1, aspect="auto")
    for (i, j), value in np.ndenumerate(values):
        if not np.isfinite(value):
            continue
        text = typeset(f"{value:.0%}")
        if np.isfinite(random := float(null.iloc[i, j])):
            text += typeset(f"\n({random:.0%})")
        color = style.readable_on(style.DIVERGING((value + 1) / 2))
        axes.text(j, i, text, ha="center", va="center", fontsize=7.2, color=color)
    axes.set_xticks(range(len(percentiles)), [f"p{p:g}" for p in percentiles])
    axes.set_yticks(range(len(bands)), [f"layers {span(band)}" for band in bands])
    axes.tick_params(length=0)
    axes.grid(False)
    axes.spines[:].set_visible(False)
    axes.set_title(f"Reduction, {where}")


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
    lengths: style.Look = {
        "xerr": style.error_lengths(rows.x, rows.x_low, rows.x_high),
        "yerr": style.error_lengths(rows.y, rows.y_low, rows.y_high),
    }
    axes.errorbar(rows.x, rows.y, zorder=2, **lengths, **look)


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
