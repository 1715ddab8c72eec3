"""Ways of steering compared, and what steering one trait does to the others."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from personae.report.plots import style
from personae.report.plots.style import Illustration, illustrated, panels
from personae.report.wording import capital, count, readable
from personae.science.steering_arms import VARIANT
from personae.science.steering_comparison import CAPABILITY, COHERENCE, NONE, is_random

_MOST_TRAITS = 12


@illustrated
def comparison(table: pd.DataFrame) -> Illustration:
    """Plot the change of the steered trait under every arm, its costs, and the trait matrix.

    Parameters
    ----------
    table
        Table ``steering_comparison`` of all traits.
    """
    traits = sorted(table.trait.unique())[:_MOST_TRAITS]
    shown = table[table.trait.isin(traits)]
    arms = [a for a in dict.fromkeys(shown.arm) if a != NONE and not is_random(a)]
    arms = [a for a in arms if not a.startswith("with_")] + [
        a for a in arms if a.startswith("with_")
    ]
    figure, grid = panels(1, 4, height=0.32 * len(arms) + 1.6, width=10.4)
    own = shown[shown.measured == shown.trait]
    _arm_panel(grid[0, 0], own, arms, traits, "Change of the trait", 100)
    _arm_panel(
        grid[0, 1], shown[shown.measured == COHERENCE], arms, traits, "... of coherence", 100
    )
    _arm_panel(
        grid[0, 2], shown[shown.measured == CAPABILITY], arms, traits, "... of capability", 1
    )
    for axes in grid[0, 1:3]:
        axes.set_yticklabels([])
    _matrix(grid[0, 3], shown[shown.arm == VARIANT], traits)
    handles, labels = grid[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=min(len(labels), 6))
    return Illustration(figure, "Ways of steering compared", _finding(own, shown, traits))


def _arm_panel(
    axes: Axes, rows: pd.DataFrame, arms: list[str], traits: list[str], title: str, scale: float
) -> None:
    axes.set_title(title)
    for index, trait in enumerate(traits):
        part = rows[rows.trait == trait].set_index("arm")
        known = [arm for arm in arms if arm in part.index]
        places = [arms.index(arm) + 0.14 * (index - (len(traits) - 1) / 2) for arm in known]
        color = style.CYCLE[index % len(style.CYCLE)]
        values = part.change.loc[known].astype(float)
        axes.plot(values, places, "o", ms=3.5, color=color, label=readable(trait))
        low, high = (part[f"change_{end}"].loc[known].astype(float) for end in ("low", "high"))
        axes.hlines(places, low, high, color=color, lw=0.8)
    axes.set_yticks(range(len(arms)), [readable(arm) for arm in arms])
    axes.set_ylim(len(arms) - 0.5, -0.5)
    style.limit(axes, "x", -scale, scale)
    style.rule(axes, 0, vertical=True)


def _matrix(axes: Axes, rows: pd.DataFrame, traits: list[str]) -> None:
    axes.set_title("Steer one, judge all")
    wide = rows.pivot(index="trait", columns="measured", values="change").reindex(
        index=traits, columns=traits
    )
    values = wide.to_numpy(dtype=float)
    most = float(np.nanmax(np.abs(values))) if np.isfinite(values).any() else 1.0
    axes.imshow(values, cmap=style.DIVERGING, vmin=-most, vmax=most)
    axes.set_xticks(range(len(traits)), [readable(t) for t in traits], rotation=40, ha="right")
    axes.set_yticks(range(len(traits)), [readable(t) for t in traits])
    axes.grid(visible=False)
    for (row, column), value in np.ndenumerate(values):
        if np.isfinite(value):
            ink = style.readable_on(style.DIVERGING((value / most + 1) / 2))
            axes.text(column, row, f"{value:+.0f}", ha="center", va="center", fontsize=7, color=ink)


def _sure(rows: pd.DataFrame) -> str:
    """Say for how many traits steering along the response mean passes its interval and its null."""
    text = f" Its 95% interval lies above zero for {(rows.change_low > 0).sum()} of them"
    if rows.random_p95.notna().any():
        passed = int((rows.change > rows.random_p95).sum())
        text += f", its change above 95% of random directions for {passed}"
    return f"{text}." if len(rows) else ""


def _finding(own: pd.DataFrame, shown: pd.DataFrame, traits: list[str]) -> str:
    means = own.groupby("arm").change.mean().drop(NONE, errors="ignore").dropna()
    means = means[[arm for arm in means.index if not is_random(str(arm))]]
    if means.empty:
        return "No change is defined: nothing was scored."
    best = str(means.idxmax())
    text = (
        f"{capital(readable(best))} raises the steered trait most, by {means[best]:.0f} points on "
        f"average over {count(len(traits), 'trait')}; the response mean by "
        f"{means.get(VARIANT, np.nan):.0f}.{_sure(own[own.arm == VARIANT])}"
    )
    other = shown[(shown.arm == VARIANT) & shown.measured.isin(traits)]
    other = other[other.measured != other.trait].change.dropna().abs()
    if len(other):
        text += f" It moves other traits by {other.mean():.0f} points on average."
    return text
