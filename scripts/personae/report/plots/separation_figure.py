"""Separation of the default Assistant from the roles on the axis."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator
from scipy.stats import gaussian_kde

from personae.data.table_values import DEFAULT
from personae.report.plots import style
from personae.report.plots.label_placement import select_extremes
from personae.report.plots.style import Illustration, illustrated, panels
from personae.report.wording import bounds, count, readable

_MOST_SUBJECTS = 24


@illustrated
def separation(aucs: pd.DataFrame, projections: pd.DataFrame, *, middle_layer: int) -> Illustration:
    """Plot AUC of default against roles by layer, and the projections at the middle layer.

    Parameters
    ----------
    aucs
        Table ``separation``.
    projections
        Rows of ``projections`` along the axis at the middle layer, of every role and the default.
    middle_layer
        Layer to show.
    """
    held_out = projections[projections.split == "heldout"]
    kept = held_out if not held_out.empty else projections
    subjects = _subjects(kept)
    height = float(np.clip(1.8 + 0.2 * len(subjects), 3.8, 7.0))
    figure, axes = panels(1, 2, height=height, width_ratios=[1.0, 1.25])
    _layers(axes[0, 0], aucs, middle_layer)
    _subject_strips(axes[0, 1], kept, subjects)
    n_roles = kept.subject.nunique() - 1
    axes[0, 1].set_title(_strips_title(len(subjects) - 1, n_roles, middle_layer), pad=16)
    return Illustration(
        figure, "Separation of default Assistant and roles", _finding(aucs, middle_layer)
    )


def _subjects(projections: pd.DataFrame) -> list[str]:
    """Return subjects from the persona end to the default; only the extremes if there are many."""
    means = projections.groupby("subject").projection.mean()
    roles = means.drop(index=DEFAULT).sort_values()
    shown = sorted(select_extremes(roles.to_numpy(), _MOST_SUBJECTS))
    return [*(str(roles.index[i]) for i in shown), DEFAULT]


def _layers(axes: Axes, aucs: pd.DataFrame, middle_layer: int) -> None:
    held_out = aucs[aucs.split == "heldout"].sort_values("layer")
    random = held_out[held_out.direction.str.startswith("random")]
    for i, (_, rows) in enumerate(random.groupby("direction")):
        label = "" if i else "random direction, either sign"
        axes.plot(
            rows.layer,
            np.maximum(rows.auc, 1 - rows.auc),
            color=style.NULL,
            lw=1.0,
            alpha=0.8,
            label=label,
        )
    seen = aucs[(aucs.direction == "axis") & (aucs.split == "extraction")].sort_values("layer")
    dashed: style.Look = {"color": style.ASSISTANT, "lw": 1.1, "ls": (0, (2, 2))}
    axes.plot(seen.layer, seen.auc, label="axis, extraction questions", **dashed)
    own = held_out[held_out.direction == "axis"]
    style.band(axes, own.layer, own.auc_low, own.auc_high, style.ASSISTANT)
    axes.plot(own.layer, own.auc, color=style.ASSISTANT, label="axis, held-out questions")
    label = "shuffled labels, 95th percentile"
    axes.plot(own.layer, own.null_p95, color=style.MUTED, lw=1.0, ls=":", label=label)
    style.rule(axes, 0.5, "chance")
    style.rule(axes, middle_layer, "middle layer", vertical=True)
    lowest = min(0.4, float(aucs.auc[aucs.direction == "axis"].min()))
    axes.set(xlabel="Layer", ylabel="AUC, default against roles", ylim=(lowest, 1.02))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_title("Separation by layer", pad=16)
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.14), ncols=2)


def _strips_title(shown: int, n_roles: int, layer: int) -> str:
    """Say whose rollouts are drawn."""
    if shown >= n_roles:
        return f"All rollouts at layer {layer}"
    return f"{shown} of {n_roles} roles, from both ends, layer {layer}"


def _subject_strips(axes: Axes, projections: pd.DataFrame, subjects: list[str]) -> None:
    """Draw one row of rollouts per subject, with its mean and density."""
    for row, subject in enumerate(subjects):
        values = projections[projections.subject == subject].projection.to_numpy()
        color = style.ASSISTANT if subject == DEFAULT else style.PERSONA
        _density(axes, values, row, color)
        axes.plot(values, np.full(len(values), row), "|", color=color, ms=4.5, alpha=0.55, mew=0.8)
        axes.plot(values.mean(), row, "o", color=color, ms=5.5, mec="white", mew=0.8, zorder=4)
    axes.axvline(
        float(projections[projections.subject == DEFAULT].projection.mean()),
        color=style.ASSISTANT,
        lw=0.9,
        ls=(0, (4, 3)),
        zorder=1,
    )
    axes.set_yticks(range(len(subjects)), [readable(s) for s in subjects], fontsize=7.6)
    axes.get_yticklabels()[-1].set(color=style.ASSISTANT, fontweight="bold")
    axes.set_ylim(-0.5, len(subjects) + 0.1)
    axes.spines["left"].set_visible(False)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x", visible=False)
    axes.set_xlabel("Projection on the axis (toward the Assistant: right)")


def _density(axes: Axes, values: np.ndarray, row: int, color: str) -> None:
    """Draw the outline of a subject's distribution upwards from its row."""
    if len(values) < 4 or np.ptp(values) == 0.0:
        return
    estimate = gaussian_kde(values)
    margin = 0.15 * np.ptp(values)
    x = np.linspace(values.min() - margin, values.max() + margin, 80)
    y = estimate(x)
    axes.fill_between(x, row, row + 0.78 * y / y.max(), color=color, alpha=0.16, linewidth=0)


def _finding(aucs: pd.DataFrame, middle_layer: int) -> str:
    rows = aucs[(aucs.split == "heldout") & (aucs.direction == "axis")].set_index("layer")
    random = aucs[(aucs.split == "heldout") & aucs.direction.str.startswith("random")]
    middle, best = rows.loc[middle_layer], rows.auc.idxmax()
    text = (
        f"On held-out questions, projections on the axis separate the default Assistant from roles "
        f"with AUC {middle.auc:.2f} at the middle layer (95% interval "
        f"{bounds(middle.auc_low, middle.auc_high)}; 95th percentile of shuffled "
        f"labels {middle.null_p95:.2f}); the best layer is {best} ({rows.auc[best]:.2f})."
    )
    if not random.empty:
        folded = np.maximum(random.auc, 1 - random.auc)[random.layer == middle_layer].mean()
        n = random.direction.nunique()
        text += f" {count(n, 'random direction')} reach{'es' if n == 1 else ''} {folded:.2f}."
    return text
