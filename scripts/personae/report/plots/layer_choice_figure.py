"""How firm the choice of each trait's layer is, and what cheap selectors say."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from personae.report.plots import style
from personae.report.plots.style import Illustration, illustrated, panels
from personae.report.wording import count, readable
from personae.science.layer_choice import SELECTORS


@illustrated
def layer_choice(table: pd.DataFrame) -> Illustration:
    """Plot the share of resamples that choose each layer, held-out gains, and agreement.

    Parameters
    ----------
    table
        Table ``layer_choices`` of all traits.
    """
    figure, grid = panels(1, 3, height=3.2)
    traits = sorted(table.trait.unique())
    _share_panel(grid[0, 0], table, traits)
    _gain_panel(grid[0, 1], table, traits)
    _agreement_panel(grid[0, 2], table, traits)
    handles, labels = grid[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=min(6, len(labels)))
    return Illustration(figure, "Choice of the layer", _finding(table))


def _share_panel(axes: Axes, table: pd.DataFrame, traits: list[str]) -> None:
    axes.set_title("How often each layer is chosen")
    for index, trait in enumerate(traits):
        rows = table[table.trait == trait].sort_values("layer")
        color = style.CYCLE[index % len(style.CYCLE)]
        axes.plot(rows.layer, rows.share, "o-", color=color, label=readable(trait))
    axes.set(xlabel="Layer", ylabel="Share of resampled questions", ylim=(-0.04, 1.04))


def _gain_panel(axes: Axes, table: pd.DataFrame, traits: list[str]) -> None:
    axes.set_title("Gain on other questions")
    for index, trait in enumerate(traits):
        row = table[(table.trait == trait) & table.chosen.astype(bool)]
        if row.empty:
            continue
        row = row.iloc[0]
        color = style.CYCLE[index % len(style.CYCLE)]
        axes.plot([row.gain], [row.heldout_gain], "o", color=color)
        if not pd.isna(row.heldout_low):
            axes.vlines([row.gain], [row.heldout_low], [row.heldout_high], color=color, lw=1)
    low, high = axes.get_xlim()
    axes.plot([low, high], [low, high], color=style.MUTED, lw=0.8, ls="--")
    axes.set(xlabel="Gain on the questions that chose", ylabel="Gain on questions left out")


def _agreement_panel(axes: Axes, table: pd.DataFrame, traits: list[str]) -> None:
    axes.set_title("Cheap selectors")
    for index, trait in enumerate(traits):
        row = table[table.trait == trait].iloc[0]
        values = [row[f"agree_{name}"] for name in SELECTORS]
        places = np.arange(len(SELECTORS)) + 0.1 * (index - (len(traits) - 1) / 2)
        color = style.CYCLE[index % len(style.CYCLE)]
        axes.plot(places, np.asarray(values, dtype=float), "o", color=color)
    axes.set_xticks(range(len(SELECTORS)), [readable(n).replace(" ", "\n") for n in SELECTORS])
    axes.set(ylabel="Rank correlation with gain", ylim=(-1.08, 1.08))
    style.rule(axes, 0)


def _finding(table: pd.DataFrame) -> str:
    chosen = table[table.chosen.astype(bool)]
    if chosen.empty:
        return "No layer was chosen: nothing was scored."
    firm = int((chosen.share >= 0.8).sum())
    lost = (chosen.gain - chosen.heldout_gain).dropna()
    text = (
        f"For {firm} of {count(len(chosen), 'trait')} at least 80% of resampled question sets "
        "choose the same layer."
    )
    if len(lost):
        text += (
            f" On questions that did not choose it, the gain is {lost.mean():.0f} points smaller "
            f"on average ({chosen.heldout_gain.mean():.0f} instead of {chosen.gain.mean():.0f})."
        )
    agree = {name: table.groupby("trait")[f"agree_{name}"].first().mean() for name in SELECTORS}
    known = {name: value for name, value in agree.items() if not pd.isna(value)}
    if known:
        best = max(known, key=lambda name: known[name])
        text += (
            f" {readable(best).capitalize()} agrees best with the gains (r = {known[best]:.2f})."
        )
    return text
