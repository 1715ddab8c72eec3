"""Persona drift: projection of each turn of a conversation on the Assistant Axis."""

from __future__ import annotations

from typing import NamedTuple

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from personae.data.effect_tables import POOLED, late_turns
from personae.report.plots import style
from personae.report.plots.style import Illustration, illustrated, panels
from personae.report.wording import bounds, capital, count, listed, readable
from personae.science.cluster_inference import mean_of_clusters, welch


class DriftCurve(NamedTuple):
    """One curve of a row of panels: arm and kind of conversation."""

    arm: str
    kind: str
    color: str
    dashes: str


ROWS: dict[str, tuple[DriftCurve, ...]] = {
    "Shipped transcripts": (
        DriftCurve("shipped", "calm", style.ASSISTANT, "-"),
        DriftCurve("shipped", "drifting", style.PERSONA, "-"),
    ),
    "Drifting user turns,\nregenerated": (
        DriftCurve("replayed", "drifting", style.PERSONA, "--"),
        DriftCurve("capped", "drifting", style.CAPPED, "-"),
    ),
    "Calm user turns,\nregenerated": (
        DriftCurve("replayed", "calm", style.ASSISTANT, "--"),
        DriftCurve("capped", "calm", style.CAPPED, "-"),
    ),
    "Simulated users": (DriftCurve("simulated", "simulated", style.PERSONA, "-"),),
}
_AVERAGED = "simulated"
"""Arm with many conversations: its panels show means instead of single conversations."""
_LABELS = {
    ("shipped", "calm"): "shipped, calm",
    ("shipped", "drifting"): "shipped, drifting",
    ("replayed", "drifting"): "regenerated, drifting",
    ("replayed", "calm"): "regenerated, calm",
    ("capped", "drifting"): "regenerated, capped",
    ("simulated", "simulated"): "simulated, mean",
}


@illustrated
def drift(projections: pd.DataFrame, summary: pd.DataFrame, *, middle_layer: int) -> Illustration:
    """Plot the projection of every assistant turn by domain, and the mean over domains.

    For simulated conversations each domain shows the mean with its interval.

    Parameters
    ----------
    projections
        Rows of ``drift_projections`` along the axis at the middle layer.
    summary
        Rows of ``drift_summary`` at the middle layer.
    middle_layer
        Layer to show.
    """
    domains = sorted(projections.domain.unique())
    present = {
        name: curves
        for name, curves in ROWS.items()
        if projections.arm.isin([curve.arm for curve in curves]).any()
    }
    figure, axes = panels(
        len(present), len(domains) + 1, height=0.7 + 1.95 * len(present), sharex=True, sharey=True
    )
    for row, (name, curves) in enumerate(present.items()):
        for column, domain in enumerate(domains):
            if curves[0].arm == _AVERAGED:
                _mean(axes[row, column], summary[summary.domain == domain], curves)
            else:
                _domain(axes[row, column], projections[projections.domain == domain], curves)
        _mean(axes[row, -1], summary[summary.domain == POOLED], curves)
        axes[row, -1].set_facecolor("#F7F8FA")
        axes[row, 0].set_ylabel(name)
    for column, title in enumerate([*map(readable, domains), "all domains"]):
        axes[0, column].set_title(capital(title))
        axes[-1, column].set_xlabel("Assistant turn")
    low, high = projections.projection.min(), projections.projection.max()
    style.limit(axes[0, 0], "y", low - 0.2 * (high - low), high + 0.2 * (high - low))
    axes[0, 0].xaxis.set_major_locator(MaxNLocator(integer=True))
    handles = [
        Line2D([], [], color=c.color, ls=c.dashes, marker="o", label=_LABELS[c.arm, c.kind])
        for curves in present.values()
        for c in curves
        if (c.arm, c.kind) in _LABELS
    ]
    columns = len(handles) if len(handles) < 6 else 3  # six entries are wider than the figure
    figure.legend(handles=handles, loc="outside lower center", ncols=columns)
    figure.supylabel(f"Projection on the Assistant Axis, layer {middle_layer}", fontsize=8.5)
    return Illustration(figure, "Projection on the axis by turn", _finding(projections))


def _domain(axes: Axes, rows: pd.DataFrame, curves: tuple[DriftCurve, ...]) -> None:
    """Draw one line per conversation of a domain; turns are counted from 1."""
    for curve in curves:
        chosen = rows[(rows.arm == curve.arm) & (rows.kind == curve.kind)]
        for _, turns in chosen.groupby("conversation"):
            turns = turns.sort_values("turn")
            axes.plot(
                turns.turn + 1,
                turns.projection,
                color=curve.color,
                ls=curve.dashes,
                lw=1.4,
                marker="o",
                ms=3.5,
            )


def _mean(axes: Axes, summary: pd.DataFrame, curves: tuple[DriftCurve, ...]) -> None:
    for curve in curves:
        rows = summary[(summary.arm == curve.arm) & (summary.kind == curve.kind)].sort_values(
            "turn"
        )
        style.band(axes, rows.turn + 1, rows.low, rows.high, curve.color)
        axes.plot(rows.turn + 1, rows["mean"], color=curve.color, ls=curve.dashes, marker="o", ms=4)


def _finding(projections: pd.DataFrame) -> str:
    """Compare the second halves of conversations, where drift has accumulated."""
    late = late_turns(projections).groupby(["arm", "kind", "conversation"]).projection.mean()
    pooled = projections[projections.arm == "shipped"].projection.std()
    held = set(late.index.droplevel("conversation"))

    def gap(first: tuple[str, str], second: tuple[str, str], *, paired: bool) -> str:
        if not {first, second} <= held:
            return "not measured"
        one, other = late.loc[first], late.loc[second]
        if paired:
            steps = (one - other).dropna()
            found = mean_of_clusters(steps.to_numpy(), steps.index.to_numpy()).interval
        else:
            found = welch(one.to_numpy(), other.to_numpy()).interval
        return f"{found.estimate:+.2f} (95% interval {bounds(found.low, found.high)})"

    between = gap(("shipped", "drifting"), ("shipped", "calm"), paired=False)
    text = (
        f"In the second half of the shipped transcripts, the mean projection of drifting turns "
        f"minus that of calm turns is {between}; "
        f"negative is away from the Assistant (standard deviation of all turns {pooled:.2f})."
    )
    if ("capped", "drifting") in held:
        change = gap(("capped", "drifting"), ("replayed", "drifting"), paired=True)
        text += f" When drifting turns are regenerated, capping changes it by {change}."
    return text + _simulated(projections[projections.arm == _AVERAGED])


def _simulated(rows: pd.DataFrame) -> str:
    """List the domains of simulated conversations in the order of their late turns."""
    if rows.empty:
        return ""
    late = late_turns(rows).groupby("domain").projection.mean().sort_values()
    if late.empty:
        return ""
    placed = [f"{readable(str(domain))} {value:.2f}" for domain, value in late.items()]
    return (
        f" In the second half of {count(rows.conversation.nunique(), 'simulated conversation')} "
        f"the mean projections, furthest from the Assistant first, are {listed(placed)}."
    )
