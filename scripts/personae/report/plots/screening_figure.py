"""Data screening: projection difference of training data, and the shift that it then causes."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from personae.report.plots import style
from personae.report.plots.style import Illustration, illustrated, panels
from personae.report.wording import count, readable
from personae.science.statistics import pearson


@illustrated
def screening(summary: pd.DataFrame) -> Illustration:
    """Plot every dataset's difference along its trait, and differences against shifts.

    Parameters
    ----------
    summary
        Table ``screening``.
    """
    figure, grid = panels(1, 2, height=3.6)
    own = summary[(summary.trait == summary.trained) | (summary.trained == "")]
    _difference_panel(grid[0, 0], own)
    _shift_panel(grid[0, 1], summary)
    return Illustration(figure, "Screening training data", _finding(summary))


def _difference_panel(axes: Axes, rows: pd.DataFrame) -> None:
    axes.set_title("Difference along the trait of the data")
    colors = {"strong": style.PERSONA, "mild": "#EBA36E", "normal": style.ASSISTANT}
    names = []
    for place, row in enumerate(rows.itertuples()):
        bar = style.error_lengths(row.difference, row.low, row.high)
        color = colors.get(row.level, style.MUTED)
        axes.errorbar([row.difference], [place], xerr=bar, fmt="o", color=color)
        auc = f"  AUC {row.auc:.2f}" if row.auc is not None and not np.isnan(row.auc) else ""
        names.append(f"{readable(row.dataset)}{auc}" + ("" if row.trained else f", {row.trait}"))
    axes.set_yticks(range(len(names)), names)
    axes.invert_yaxis()
    axes.set_xlabel("Training response minus own answers (vector lengths)")
    style.rule(axes, 0, vertical=True)


def _shift_panel(axes: Axes, summary: pd.DataFrame) -> None:
    axes.set_title("Difference before training, shift after it")
    rows = summary[summary["shift"].notna()]
    if rows.empty:
        style.absent(axes, "No adapter was trained.")
        return
    own = (rows.trait == rows.trained).to_numpy()
    for mask, color, label in (
        (own, style.PERSONA, "trait of the data"),
        (~own, style.NULL, "other traits"),
    ):
        axes.plot(rows.difference[mask], rows["shift"][mask], "o", color=color, label=label)
    axes.set(xlabel="Projection difference", ylabel="Shift (vector lengths)")
    axes.legend(loc="best")


def _finding(summary: pd.DataFrame) -> str:
    known = summary[summary["shift"].notna()]
    parts = []
    flagged = summary[(summary.trait == summary.trained) & summary.auc.notna()]
    if len(flagged):
        worst = flagged.loc[flagged.auc.idxmin()]
        parts.append(
            f"The projection difference tells rows with the trait from normal ones: the lowest AUC "
            f"of {count(len(flagged), 'dataset')} is {worst.auc:.2f} ({readable(worst.dataset)})."
        )
    r = pearson(known.difference.to_numpy(float), known["shift"].to_numpy(float))
    if len(known) and not np.isnan(r):
        parts.append(
            f"Over {count(len(known), 'pair')} of dataset and trait it correlates with the shift "
            f"that training causes with r = {r:.2f}."
        )
    cheap = summary.cheap_r.dropna()
    if len(cheap):
        parts.append(
            f"One own answer in place of all gives nearly the same difference where r is near 1: "
            f"here {cheap.min():.2f} to {cheap.max():.2f} over rows."
        )
    return " ".join(parts) or "There are no rows to compare."
