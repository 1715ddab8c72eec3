"""The Assistant Axis and the first principal component at every layer."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from personae.report.plots import style
from personae.report.plots.persona_space_figure import SCALINGS
from personae.report.plots.style import Illustration, illustrated, panels
from personae.report.wording import bounds, count

PUBLISHED_ALL_LAYERS = 0.60
PUBLISHED_MIDDLE_LAYER = 0.71

_COLORS = {"centred": style.ASSISTANT, "z_scored": style.CYCLE[5]}


@illustrated
def axis_layers(layers: pd.DataFrame, *, middle_layer: int) -> Illustration:
    """Plot |cos(axis, PC1)| by layer with interval and null, and the dimension of persona space.

    Parameters
    ----------
    layers
        Table ``space_layers``.
    middle_layer
        Layer to mark.
    """
    figure, axes = panels(1, 2, height=3.9, width_ratios=[1.55, 1.0])
    by_scaling = {key: layers[layers.scaling == key].sort_values("layer") for key in SCALINGS}
    by_scaling = {key: rows for key, rows in by_scaling.items() if not rows.empty}
    _alignment(axes[0, 0], by_scaling, middle_layer)
    _dimension(axes[0, 1], by_scaling, middle_layer)
    return Illustration(
        figure, "Alignment of the Assistant Axis with PC 1", _aligned(by_scaling, middle_layer)
    )


def _alignment(axes: Axes, by_scaling: dict[str, pd.DataFrame], middle_layer: int) -> None:
    _references(axes, by_scaling["centred"])
    for scaling, rows in by_scaling.items():
        name, dashes = SCALINGS[scaling]
        label = f"|cos(axis, PC 1)|, {name}" + (", 95% interval" if scaling == "centred" else "")
        axes.plot(rows.layer, rows.axis_pc1_cosine, color=_COLORS[scaling], ls=dashes, label=label)
    style.rule(axes, PUBLISHED_ALL_LAYERS, "published, every layer: > 0.60")
    published: style.Look = {
        "marker": "D",
        "ms": 5,
        "mfc": "white",
        "ls": "",
        "color": style.INK,
        "zorder": 5,
    }
    _question_interval(axes, by_scaling["centred"].set_index("layer").loc[middle_layer])
    label = "published, middle layer: > 0.71"
    axes.plot([middle_layer], [PUBLISHED_MIDDLE_LAYER], label=label, **published)
    axes.set(ylim=(0, 1.02))
    axes.set_title("Alignment of the axis with PC 1", pad=16)
    _by_layer(axes, middle_layer, "middle layer", columns=2)


def _question_interval(axes: Axes, row: pd.Series) -> None:
    """Draw the interval over questions, which only the middle layer has."""
    if pd.isna(row.questions_low):
        return
    lengths = style.error_lengths(row.axis_pc1_cosine, row.questions_low, row.questions_high)
    look: style.Look = {"color": style.INK, "capsize": 3, "lw": 1.2, "fmt": "none", "zorder": 4}
    label = "interval over questions"
    axes.errorbar([row.name], [row.axis_pc1_cosine], yerr=lengths, label=label, **look)


def _references(axes: Axes, rows: pd.DataFrame) -> None:
    """Draw the interval of the alignment, the null, and the reliability of the axis."""
    style.band(axes, rows.layer, rows.axis_pc1_low, rows.axis_pc1_high, _COLORS["centred"])
    style.band(axes, rows.layer, 0.0 * rows.null_p95, rows.null_p95, style.NULL)
    label = "shuffled labels: mean, up to the 95th percentile"
    axes.plot(rows.layer, rows.null_mean, color=style.NULL, lw=1.2, label=label)
    if rows.split_half.notna().any():
        label = "split-half reliability of the axis"
        axes.plot(rows.layer, rows.split_half, color=style.COHERENCE, lw=1.3, ls=":", label=label)


def _dimension(axes: Axes, by_scaling: dict[str, pd.DataFrame], middle_layer: int) -> None:
    for scaling, rows in by_scaling.items():
        name, dashes = SCALINGS[scaling]
        look: style.Look = {"color": _COLORS[scaling], "ls": dashes}
        label = f"participation ratio, {name}"
        axes.plot(rows.layer, rows.participation_ratio, label=label, **look)
        steps: style.Look = {"lw": 1.0, "alpha": 0.55, "drawstyle": "steps-mid"}
        label = f"components needed, {name}"
        axes.plot(rows.layer, rows.components_needed, label=label, **look, **steps)
    axes.set(ylabel="Dimensions")
    axes.set_ylim(bottom=0)
    axes.set_title("Dimension of persona space", pad=16)
    _by_layer(axes, middle_layer, "", columns=1)


def _by_layer(axes: Axes, middle_layer: int, name: str, *, columns: int) -> None:
    """Mark the middle layer on an integer axis, and place the legend below."""
    style.rule(axes, middle_layer, name, vertical=True)
    axes.set(xlabel="Layer")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.16), ncols=columns)


def _aligned(by_scaling: dict[str, pd.DataFrame], middle_layer: int) -> str:
    rows = by_scaling["centred"].set_index("layer")
    middle, worst = rows.loc[middle_layer], rows.axis_pc1_cosine.idxmin()
    above = int((rows.axis_pc1_low > rows.null_p95).sum())
    text = (
        f"At the middle layer |cos(axis, PC 1)| is {middle.axis_pc1_cosine:.2f} (95% interval over "
        f"roles {bounds(middle.axis_pc1_low, middle.axis_pc1_high)}, over questions "
        f"{bounds(middle.questions_low, middle.questions_high)}; published: above 0.71), "
        f"compared with {middle.null_mean:.2f} for shuffled labels. The minimum over layers is "
        f"{rows.axis_pc1_cosine[worst]:.2f}, at layer {worst}; the interval lies above the null at "
        f"{above} of {count(len(rows), 'layer')}."
    )
    if "z_scored" in by_scaling:
        scaled = by_scaling["z_scored"].set_index("layer").axis_pc1_cosine[middle_layer]
        text += f" After z-scoring, the value at the middle layer is {scaled:.2f}."
    return text
