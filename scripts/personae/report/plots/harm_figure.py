"""Harm under persona jailbreaks: by category, and against capability."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import PercentFormatter

from personae.report.plots import style
from personae.report.plots.style import Illustration, illustrated, panels
from personae.report.wording import bounds, readable, span
from personae.science.harm_arms import AXIS, NO_PERSONA, SINGLE_LAYER, UNCAPPED, WRONG_SIGN
from personae.science.harm_rates import EVERY, REPORTED_ON

_MOST_CATEGORIES = 20


@illustrated
def harm(rates: pd.DataFrame) -> Illustration:
    """Plot the rate of harmful responses by category, and harm against accuracy.

    Parameters
    ----------
    rates
        Rows of ``harm_rates`` of one judge.
    """
    of_category = rates[(rates.half == EVERY) & (rates.category != EVERY)]
    names = of_category[of_category.contrast == UNCAPPED].sort_values("rate").category
    height = float(np.clip(1.6 + 0.2 * min(len(names), _MOST_CATEGORIES), 3.6, 6.0))
    figure, grid = panels(1, 2, height=height, width_ratios=[1.0, 1.2])
    _categories(grid[0, 0], of_category, list(names)[-_MOST_CATEGORIES:])
    reported = rates[(rates.half == REPORTED_ON) & (rates.category == EVERY)]
    _tradeoff(grid[0, 1], reported)
    return Illustration(figure, "Harm with and without capping", _finding(rates, reported))


def _categories(axes: Axes, rows: pd.DataFrame, names: list[str]) -> None:
    """Draw one row per category: without a persona, without a cap, with the chosen cap."""
    arms = (
        (rows[rows.contrast == NO_PERSONA], style.NULL, "s", "no persona"),
        (rows[rows.contrast == UNCAPPED], style.PERSONA, "o", "persona"),
        (rows[rows.chosen], style.CAPPED, "D", "persona, chosen cap"),
    )
    for part, color, marker, label in arms:
        found = part.set_index("category").rate.reindex(names)
        axes.plot(found, range(len(names)), marker, color=color, ms=5, label=label, alpha=0.85)
    axes.set_yticks(range(len(names)), [readable(name) for name in names], fontsize=7.6)
    axes.set(xlabel="Harmful responses", xlim=(-0.04, 1.04), title="By category")
    axes.xaxis.set_major_formatter(PercentFormatter(1.0))
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.16), ncols=3, fontsize=7.2)


def _tradeoff(axes: Axes, rows: pd.DataFrame) -> None:
    """Draw every cap with a measured accuracy; up and right is better."""
    measured = rows[rows.accuracy_change.notna()].assign(less=-rows.change)
    axes.axhline(0, color=style.MUTED, lw=0.8)
    axes.axvline(0, color=style.MUTED, lw=0.8)
    random = measured[measured.contrast.str.startswith("random")]
    axis = measured[measured.contrast == AXIS]
    for part, look in (
        (random, {"color": style.NULL, "mfc": "white", "label": "random direction"}),
        (axis, {"color": style.ASSISTANT, "label": "axis"}),
    ):
        errors = style.error_lengths(part.less, -part.change_high, -part.change_low)
        bars: style.Look = {"fmt": "o", "ms": 5, "elinewidth": 0.8, "alpha": 0.8, **look}
        axes.errorbar(part.accuracy_change, part.less, yerr=errors, **bars)
    front = axis[axis.pareto].sort_values("accuracy_change")
    dashed: style.Look = {"color": style.ASSISTANT, "lw": 1.0, "ls": (0, (3, 2))}
    axes.plot(front.accuracy_change, front.less, label="Pareto front", **dashed)
    chosen = axis[axis.chosen]
    star: style.Look = {"color": style.CAPPED, "ms": 13, "zorder": 5, "lw": 0}
    axes.plot(chosen.accuracy_change, chosen.less, "*", label="chosen", **star)
    axes.set(
        xlabel="Change in accuracy on closed questions", ylabel="Reduction of the harmful rate"
    )
    axes.yaxis.set_major_formatter(PercentFormatter(1.0))
    axes.set_title("Harm against capability, held-out probes")
    axes.margins(0.12)
    style.limit(axes, "y", -1.05, 1.05)
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.16), ncols=4, fontsize=7.2)


def _finding(rates: pd.DataFrame, reported: pd.DataFrame) -> str:
    whole = rates[(rates.half == EVERY) & (rates.category == EVERY)].set_index("contrast")
    text = (
        f"Under persona jailbreaks {whole.rate[UNCAPPED]:.0%} of responses are harmful, "
        f"{whole.rate[NO_PERSONA]:.0%} without a persona."
    )
    chosen = reported[reported.chosen]
    if chosen.empty:
        return f"{text} No cap loses little enough accuracy to be chosen."
    best = chosen.iloc[0]
    text += (
        f" The cap chosen on the other half of the probes (layers {span(best.band)}, percentile "
        f"{best.percentile:g}, {best.reading}) changes the rate by {best.change:+.0%} (95% "
        f"interval {bounds(max(best.change_low, -1.0), min(best.change_high, 1.0), '+.0%')}) and "
        f"accuracy by "
        f"{best.accuracy_change:+.2f}"
    )
    same = reported[(reported.band == best.band) & (reported.percentile == best.percentile)]
    others = [("random directions", same[same.contrast.str.startswith("random")])]
    others.append(("the wrong sign", same[same.contrast == WRONG_SIGN]))
    others.append(("single layers", reported[reported.contrast == SINGLE_LAYER]))
    parts = [f"{name} {rows.change.mean():+.0%}" for name, rows in others if len(rows)]
    return f"{text}; {', '.join(parts)}." if parts else f"{text}."
