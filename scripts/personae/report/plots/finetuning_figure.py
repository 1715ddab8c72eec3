"""Fine-tuning: shift along trait vectors against change of traits, and what defences cost."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from numpy.typing import NDArray

from personae.report.plots import style
from personae.report.plots.style import Illustration, illustrated, panels
from personae.report.wording import capital, count, listed, readable
from personae.science.finetuning_shift import BASE, PLAIN, TRAIT
from personae.science.training_defences import CAPABILITY, COHERENCE, STEERED
from personae.science.training_defences import TRAIT as TRAIT_SCORE

_LOOKS = {
    BASE: (style.MUTED, "s", "before training"),
    PLAIN: (style.PERSONA, "o", "trained, no defence"),
    STEERED: (style.NULL, "v", "... and steered afterwards"),
    "preventative": (style.ASSISTANT, "D", "preventative steering"),
    "ablation": (style.CAPPED, "P", "ablation in training"),
}
_MOST_TRAITS = 4


@illustrated
def finetuning(
    shifts: pd.DataFrame, correlations: pd.DataFrame, defences: pd.DataFrame
) -> Illustration:
    """Plot shift against change of every plain adapter, and the cost of every defence.

    Parameters
    ----------
    shifts, correlations, defences
        Tables ``finetuning_shifts``, ``finetuning_correlations`` and ``finetuning_defences``.
    """
    traits = list(dict.fromkeys(defences.trained))[:_MOST_TRAITS]
    figure, grid = panels(2, 1 + len(traits), height=5.6)
    plain = shifts[(shifts.arm == PLAIN) & shifts.change.notna()]
    _shift_panel(grid[0, 0], plain[plain.vector == TRAIT])
    _null_panel(grid[1, 0], plain, correlations)
    for column, trait in enumerate(traits, 1):
        rows = defences[defences.trained == trait]
        for axes, measure in zip(grid[:, column], (COHERENCE, CAPABILITY), strict=True):
            _cost_panel(axes, rows, measure)
        grid[0, column].set_title(f"Data: {readable(trait)}")
    handles, labels = _legend(grid[:, 1:])
    if handles:
        figure.legend(handles, labels, loc="outside lower center", ncols=3)
    return Illustration(
        figure, "Fine-tuning on training data of a trait", _finding(correlations, defences)
    )


def _shift_panel(axes: Axes, rows: pd.DataFrame) -> None:
    axes.set_title("Shift and change")
    for own, color, label in (
        (True, style.PERSONA, "trait of the data"),
        (False, style.NULL, "other traits"),
    ):
        part = rows[(rows.trait == rows.trained) == own]
        axes.errorbar(
            part["shift"],
            part.change,
            xerr=style.error_lengths(part["shift"], part.shift_low, part.shift_high),
            yerr=style.error_lengths(part.change, part.change_low, part.change_high),
            fmt="o",
            color=color,
            elinewidth=0.6,
            alpha=0.85,
            label=label,
        )
    style.rule(axes, 0)
    style.rule(axes, 0, vertical=True)
    axes.set(xlabel="Shift of the last prompt token\n(vector lengths)", ylabel="Change of score")
    axes.legend(loc="best")


def _null_panel(axes: Axes, plain: pd.DataFrame, correlations: pd.DataFrame) -> None:
    """Draw r of every group of pairs, with what shuffled vectors reach."""
    axes.set_title("Correlation")
    for place, row in enumerate(correlations.itertuples()):
        if row.r is None or np.isnan(row.r):
            continue
        bar = style.error_lengths(row.r, row.low, row.high)
        axes.errorbar([place], [row.r], yerr=bar, fmt="o", color=style.ASSISTANT)
        if row.shuffled_p95 is not None:
            axes.plot([place - 0.2, place + 0.2], [row.shuffled_p95] * 2, color=style.NULL)
    axes.set_xticks(
        range(len(correlations)), [name.replace(" ", "\n") for name in correlations.pairs]
    )
    axes.set(ylim=(-1.05, 1.05), ylabel="r (grey: 95% of shuffled)")
    axes.set_xlim(-0.5, max(len(correlations) - 0.5, 0.5))
    style.rule(axes, 0)


def _cost_panel(axes: Axes, rows: pd.DataFrame, measure: str) -> None:
    at = rows[rows.measure == TRAIT_SCORE].set_index(["arm", "coefficient"]).value
    cost = rows[rows.measure == measure].set_index(["arm", "coefficient"]).value
    curve = [key for key in at.index if key[0] in (PLAIN, STEERED)]
    curve.sort(key=lambda key: at[key])
    axes.plot([at[k] for k in curve], [cost[k] for k in curve], color=style.NULL, lw=1)
    for arm, (color, marker, label) in _LOOKS.items():
        keys = [key for key in at.index if key[0] == arm]
        if keys:
            axes.plot(
                [at[k] for k in keys],
                [cost[k] for k in keys],
                marker=marker,
                ls="",
                color=color,
                label=label,
            )
    top = 100 if measure == COHERENCE else 1
    axes.set(
        xlabel="Trait score (0-100)",
        ylabel="Coherence (0-100)" if measure == COHERENCE else "Closed questions right",
        ylim=(-0.04 * top, 1.04 * top),
    )


def _legend(grid: NDArray[Any]) -> tuple[list[Artist], list[str]]:
    found: dict[str, Artist] = {}
    for axes in grid.flat:
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
            found.setdefault(label, handle)
    order = [label for _, _, label in _LOOKS.values() if label in found]
    return [found[label] for label in order], order


def _finding(correlations: pd.DataFrame, defences: pd.DataFrame) -> str:
    rows = correlations[correlations.pairs == "all"]
    if rows.empty or rows.r.isna().all():
        first = "No correlation is defined: shifts or scores do not vary."
    else:
        row = rows.iloc[0]
        interval = (
            "no interval"
            if pd.isna(row.low)
            else f"95% interval over adapters {row.low:.2f} to {row.high:.2f}"
        )
        null = "" if pd.isna(row.shuffled_p95) else f"; shuffled vectors {row.shuffled_p95:.2f}"
        first = (
            f"Over {count(row.n_adapters, 'adapter')}, the shift along a trait vector and the "
            f"change of its score correlate with r = {row.r:.2f} ({interval}{null}; published: "
            "0.76 to 0.97)."
        )
    return f"{first} {_defence_finding(defences)}".strip()


def _defence_finding(defences: pd.DataFrame) -> str:
    rows = defences[defences.difference.notna() & (defences.measure == COHERENCE)]
    if rows.empty:
        return ""
    parts = [
        f"{readable(row.arm)} ({readable(row.trained)}) {row.difference:+.0f}"
        for row in rows.itertuples()
    ]
    reach = int((~rows.in_reach.astype(bool)).sum())
    note = f" For {reach} of them no coefficient tried reaches that score." if reach else ""
    return capital(
        "coherence of defences in training, compared with steering afterwards at the same trait "
        f"score: {listed(parts)} points.{note}"
    )
