"""Agreement of the judges with the labelled set."""

from __future__ import annotations

from itertools import cycle

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from personae.data.effect_tables import POOLED
from personae.report.plots import style
from personae.report.plots.style import Illustration, illustrated, panels
from personae.report.wording import capital, count, listed, readable
from personae.science.score_levels import LABELS

_COLORS = (style.ASSISTANT, style.PERSONA, style.CAPPED, "#7a5195", "#8a8a4f", "#4f8a8a")
_MOST_ROWS = 30
_FIRST = "role_adherence"
"""The rubric whose confusion matrices are first: its levels decide what enters the axis."""


@illustrated
def judges(agreement: pd.DataFrame, confusion: pd.DataFrame) -> Illustration:
    """Plot AUC of every judge by rubric and target on held-out questions, and confusion matrices.

    Parameters
    ----------
    agreement, confusion
        Tables ``agreement`` and ``confusion``.
    """
    names = list(dict.fromkeys(agreement.judge))
    agreement = _shown(agreement)
    n_rows = min(len(agreement.groupby(["rubric", "target"])), _MOST_ROWS)
    confusion = confusion[confusion.against == LABELS]
    rubrics = sorted(set(confusion.rubric), key=lambda rubric: (rubric != _FIRST, rubric))
    n_grid = max(len(rubrics), 1)
    height = max(float(np.clip(1.6 + 0.26 * n_rows, 3.6, 8.5)), 0.6 + 2.1 * n_grid)
    figure, axes = panels(
        n_grid, 1 + len(names), height=height, width_ratios=[1.5, *[1.0] * len(names)]
    )
    axes[0, 0].set_subplotspec(axes[0, 0].get_gridspec()[:, 0])
    for axis in axes[1:, 0]:
        axis.remove()
    _forest(axes[0, 0], agreement, names)
    for row, rubric in zip(axes[:, 1:], rubrics, strict=False):
        own = confusion[confusion.rubric == rubric]
        for axis, name in zip(row, names, strict=True):
            _confusion(axis, own[own.judge == name], rubric, name)
    return Illustration(figure, "Agreement of judges with labels", _finding(agreement, names))


def _shown(agreement: pd.DataFrame) -> pd.DataFrame:
    """Keep rows with a defined AUC: every trait, and each rubric over all of its targets.

    Single roles have too few labels for an interval; only the table shows them.
    """
    wanted = (agreement.rubric == "trait") | (agreement.target == POOLED)
    return agreement[wanted & agreement.auc.notna()]


def _name(rubric: str, target: str) -> str:
    """Return the label of a row: the trait, or the rubric over all of its targets."""
    if target != POOLED:
        return readable(target)
    return "all traits" if rubric == "trait" else readable(rubric)


def _forest(axes: Axes, agreement: pd.DataFrame, names: list[str]) -> None:
    order = agreement.groupby(["rubric", "target"]).auc.mean()
    pooled = order.index.get_level_values("target") == POOLED
    order = order.iloc[np.lexsort((order.to_numpy(), pooled))]
    keys = list(order.index[-_MOST_ROWS:])
    shift = np.linspace(-0.16, 0.16, len(names)) if len(names) > 1 else [0.0]
    for name, color, offset in zip(names, cycle(_COLORS), shift, strict=False):
        rows = agreement[agreement.judge == name].set_index(["rubric", "target"]).reindex(keys)
        y = np.arange(len(keys)) - offset
        axes.hlines(y, rows.auc_low, rows.auc_high, color=color, lw=1.3, alpha=0.65)
        axes.plot(rows.auc, y, "o", color=color, ms=5.5, mec="white", mew=0.7, label=name)
    style.rule(axes, 0.5, "chance", vertical=True)
    axes.set_yticks(range(len(keys)), [_name(*key) for key in keys])
    axes.set(
        xlim=(min(0.3, float(agreement.auc_low.min()) - 0.02), 1.02),
        xlabel="AUC against the labels",
    )
    axes.set_ylim(-0.7, len(keys) - 0.3)
    axes.set_title("Held-out questions, 95% intervals", pad=16)
    figure = axes.get_figure(root=True)
    assert figure is not None
    below = 0.55 / figure.get_size_inches()[1]  # independent of the panel's height
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -below), ncols=len(names))


def _confusion(axes: Axes, rows: pd.DataFrame, rubric: str, judge: str) -> None:
    if rows.empty:
        style.absent(axes, f"{judge} does not judge {readable(rubric)}")
        return
    counts = rows.groupby(["label", "predicted"]).n.sum().unstack(fill_value=0)
    labels, predicted = sorted(counts.index), sorted({*counts.index, *counts.columns})
    counts = counts.reindex(index=labels, columns=predicted, fill_value=0)
    share = counts.div(counts.sum(axis=1).replace(0, 1), axis=0).to_numpy(dtype=np.float64)
    axes.imshow(share, cmap=style.SEQUENTIAL, vmin=0, vmax=1)
    for (i, j), value in np.ndenumerate(counts.to_numpy()):
        axes.text(
            j,
            i,
            f"{value}",
            ha="center",
            va="center",
            fontsize=8.5,
            color=style.readable_on(style.SEQUENTIAL(share[i, j])),
        )
    axes.grid(False)
    axes.spines[:].set_visible(False)
    axes.set_xticks(range(len(predicted)), predicted)
    axes.set_yticks(range(len(labels)), labels)
    axes.tick_params(length=0)
    axes.set(xlabel=f"{readable(rubric)} by the judge", ylabel="label")
    axes.set_title(capital(judge), pad=10)


def _finding(agreement: pd.DataFrame, names: list[str]) -> str:
    parts = []
    for name in names:
        rows = agreement[agreement.judge == name]
        worst = rows.loc[rows.auc.idxmin()]
        parts.append(
            f"the {name} judge has a mean AUC of {rows.auc.mean():.2f} (lowest: "
            f"{_name(worst.rubric, worst.target)}, {worst.auc:.2f})"
        )
    weak = agreement[agreement.auc_low <= 0.5]
    text = f"On labelled responses to questions not used for calibration, {listed(parts)}."
    if len(weak):
        text += f" {count(len(weak), 'interval')} of {len(agreement)} include chance (0.5)."
    return text
