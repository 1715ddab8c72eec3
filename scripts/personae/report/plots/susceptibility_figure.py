"""Who speaks when roles are steered along the Assistant Axis."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import PercentFormatter

from personae.report.plots import style
from personae.report.plots.style import Illustration, illustrated, panels
from personae.report.wording import bounds, count
from personae.science.speaker_shares import ANY_PERSONA

_COLORS = {
    "assistant": style.ASSISTANT,
    "human": style.PERSONA,
    "nonhuman": style.CYCLE[4],
    "mystical": style.COHERENCE,
    "other": style.MUTED,
}


@illustrated
def susceptibility(shares: pd.DataFrame) -> Illustration:
    """Plot the share of every speaker, and coherence, by strength of steering.

    Parameters
    ----------
    shares
        Rows of ``speaker_shares`` of one judge.
    """
    axis = shares[(shares.direction == "axis")].sort_values("strength")
    random = shares[shares.direction.str.startswith("random")]
    figure, grid = panels(2, 1, width=7.6, height=5.4, sharex=True, height_ratios=[2.2, 1.0])
    top, bottom = grid[:, 0]
    for label, color in _COLORS.items():
        rows = axis[axis.label == label]
        style.band(top, rows.in_persona_gaps, rows.share_low, rows.share_high, color, alpha=0.1)
        top.plot(rows.in_persona_gaps, rows.share, color=color, marker="o", label=label)
    _random(top, random[random.label == ANY_PERSONA], axis[axis.label == ANY_PERSONA], "share")
    top.set(ylim=(-0.03, 1.03), ylabel="Share of answers")
    top.yaxis.set_major_formatter(PercentFormatter(1.0))
    rows = axis[axis.label == ANY_PERSONA]
    bands = (rows.in_persona_gaps, rows.coherence_low, rows.coherence_high)
    style.band(bottom, *bands, style.COHERENCE)
    bottom.plot(rows.in_persona_gaps, rows.coherence, color=style.COHERENCE, marker="o")
    _random(bottom, random[random.label == ANY_PERSONA], rows, "coherence")
    bottom.set(ylim=(0, 103), ylabel="Coherence (0-100)")
    bottom.set_xlabel("Strength in persona gaps (right: toward the Assistant)")
    for axes in (top, bottom):
        style.rule(axes, 0.0, vertical=True)
    _residual_axis(top, rows)
    figure.legend(*top.get_legend_handles_labels(), loc="outside lower center", ncols=6)
    return Illustration(figure, "Speakers under steering along the axis", _finding(axis))


def _random(axes: Axes, random: pd.DataFrame, unsteered: pd.DataFrame, name: str) -> None:
    """Draw the mean over random directions, through the unsteered arm that all share."""
    if random.empty:
        return
    rows = pd.concat([random, unsteered[unsteered.strength == 0]])
    mean = rows.groupby("in_persona_gaps")[name].mean()
    dashed: style.Look = {"color": style.NULL, "ls": (0, (3, 2)), "marker": "s", "ms": 3.5}
    axes.plot(mean.index, mean, label="any persona, random direction", **dashed)


def _residual_axis(axes: Axes, rows: pd.DataFrame) -> None:
    """Label the upper edge with the strengths in mean residual norms."""
    ratio = float((rows.in_residual_norms / rows.in_persona_gaps).dropna().iloc[0])
    above = axes.secondary_xaxis(
        "top",
        functions=(lambda x: np.asarray(x) * ratio, lambda x: np.asarray(x) / ratio),
    )
    above.set_xlabel("Strength in mean residual norms", fontsize=8)


def _finding(axis: pd.DataFrame) -> str:
    rows = axis[axis.label == ANY_PERSONA].set_index("strength")
    start, away, toward = rows.loc[0.0], rows.iloc[0], rows.iloc[-1]
    parts = [
        f"at {row.in_persona_gaps:+.2g} persona gaps ({row.in_residual_norms:+.2g} residual norms) "
        f"{row.share:.0%} (change {row.change:+.0%}, 95% interval "
        f"{bounds(row.change_low, row.change_high, '+.0%')}; "
        f"{_by_chance(row)}coherence {row.coherence:.0f})"
        for row in (away, toward)
    ]
    return (
        f"Without steering a persona speaks in {start.share:.0%} of "
        f"{count(int(start.n), 'answer')}; {parts[0]}, and {parts[1]}."
    )


def _by_chance(row: pd.Series) -> str:
    """Say what random directions change, if the study steers along any."""
    if pd.isna(row.random_change):
        return ""
    return f"random directions {row.random_change:+.0%}; "
