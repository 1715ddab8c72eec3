"""Persona space: roles and the default Assistant on the first two principal components."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator, PercentFormatter
from numpy.typing import NDArray

from personae.data.table_values import DEFAULT
from personae.report.plots import style
from personae.report.plots.label_placement import place_labels, select_extremes, settle
from personae.report.plots.style import Illustration, illustrated, panels
from personae.report.wording import both_ends, count, listed, readable

SCALINGS = {"centred": ("mean-subtracted", "-"), "z_scored": ("z-scored", (0, (4, 2)))}
"""Maps a scaling of the PCA to its name in figures and its line style."""

_MOST_LABELS = 28


@illustrated
def persona_space(
    coordinates: pd.DataFrame,
    components: pd.DataFrame,
    *,
    middle_layer: int,
    variance_threshold: float,
) -> Illustration:
    """Plot roles on the first two components with the axis, and the cumulative variance.

    Parameters
    ----------
    coordinates, components
        Tables ``space_coordinates`` and ``space_components``.
    middle_layer
        Layer to show.
    variance_threshold
        Share of the variance for which the number of components is reported (paper: 0.7).
    """
    figure, axes = panels(1, 2, height=4.6, width_ratios=[1.75, 1.0])
    here = coordinates[(coordinates.layer == middle_layer) & (coordinates.scaling == "centred")]
    entered = here.drop_duplicates(["role", "kind"]).kind.value_counts()
    # The axis runs from the mean of the fully-role vectors: they alone are drawn, around it.
    here = here[here.kind != "somewhat"]
    wide = here.pivot(index="role", columns="component", values="coordinate").sort_index(axis=1)
    wide -= wide.drop(index=DEFAULT).mean()
    if wide.shape[1] == 1:
        wide["second"] = 0.0  # two roles span a line
    _scatter(axes[0, 0], wide, middle_layer)
    at_layer = components[components.layer == middle_layer]
    needed = _variance(axes[0, 1], at_layer, variance_threshold)
    settle(figure)
    _names(axes[0, 0], wide)
    finding = (
        f"{_extreme(wide)} At layer {middle_layer}, {_needed(needed, variance_threshold)}. "
        f"The components are those of {entered.get('fully', 0)} fully and "
        f"{entered.get('somewhat', 0)} somewhat role vectors."
    )
    return Illustration(figure, "Roles in persona space", finding)


def _axis_position(wide: pd.DataFrame) -> NDArray[np.float64]:
    """Position of each role along the axis: 0 at the roles' mean, 1 at the default Assistant.

    Coordinates are relative to the mean of the roles, so the default's own coordinates are the
    Assistant Axis within persona space.
    """
    axis = wide.loc[DEFAULT].to_numpy()
    return np.asarray(wide.to_numpy() @ axis / (axis @ axis), dtype=np.float64)


def _scatter(axes: Axes, wide: pd.DataFrame, layer: int) -> None:
    """Draw roles on two components, coloured along the axis, and the axis as an arrow."""
    points = wide.iloc[:, :2].to_numpy(dtype=np.float64)
    is_role = wide.index != DEFAULT
    position, default = _axis_position(wide)[is_role], points[~is_role][0]
    reach = float(np.abs(position).max())
    colors: style.Look = {"c": position, "cmap": style.DIVERGING, "vmin": -reach, "vmax": reach}
    many = len(position) > _MOST_LABELS
    edges: style.Look = {"edgecolors": style.INK, "linewidths": 0.2 if many else 0.5}
    size = 16 if many else 46
    marks = axes.scatter(
        points[is_role, 0], points[is_role, 1], s=size, zorder=3, **colors, **edges
    )
    arrow = {"arrowstyle": "-|>", "color": style.ASSISTANT, "lw": 1.6, "shrinkA": 0, "shrinkB": 7}
    axes.annotate("", default, xytext=(0.0, 0.0), arrowprops=arrow, zorder=2)
    axes.scatter(default[0], default[1], marker="*", s=190, color=style.ASSISTANT, zorder=4)
    axes.axhline(0, color=style.FAINT, zorder=1)
    axes.axvline(0, color=style.FAINT, zorder=1)
    axes.margins(0.14)
    axes.set(xlabel="PC 1 (signed toward the Assistant)", ylabel="PC 2")
    axes.set_title(f"Roles at layer {layer}; the arrow is the Assistant Axis")
    label = "Position along the axis\n(0: mean role, 1: default)"
    style.color_bar(marks, axes, label)


def _names(axes: Axes, wide: pd.DataFrame) -> None:
    """Label the default and the roles; if there are many, only the extremes along the axis."""
    coordinates = wide.iloc[:, :2].drop(index=DEFAULT)
    points, default = coordinates.to_numpy(), wide.iloc[:, :2].loc[DEFAULT].to_numpy()
    arrow = np.linspace(0.05, 1.0, 40)[:, np.newaxis] * default
    obstacles = np.concatenate([points, arrow])
    bold: style.Look = {"fontsize": 8.2, "fontweight": "bold", "color": style.ASSISTANT}
    taken = place_labels(
        axes, default[np.newaxis], [readable(DEFAULT)], obstacles=obstacles, distance=1.7, **bold
    )
    position = _axis_position(wide)[wide.index != DEFAULT]
    shown = _from_the_ends(select_extremes(position, _MOST_LABELS))
    names = [readable(str(coordinates.index[i])) for i in shown]
    plain: style.Look = {"fontsize": 7.4, "color": style.INK}
    crowded = len(points) > _MOST_LABELS
    place_labels(
        axes, points[shown], names, obstacles=obstacles, taken=taken, drop_crowded=crowded, **plain
    )


def _from_the_ends(order: list[int]) -> list[int]:
    """Return ordered items with both ends first: those whose labels matter most."""
    half = len(order) // 2
    pairs = zip(order[:half], order[::-1][:half], strict=True)
    return [item for pair in pairs for item in pair] + order[half : len(order) - half]


def _variance(axes: Axes, components: pd.DataFrame, threshold: float) -> dict[str, int]:
    needed = {}
    for scaling, (name, dashes) in SCALINGS.items():
        ratios = components[components.scaling == scaling].sort_values("component").variance_ratio
        if ratios.empty:
            continue
        total = np.cumsum(ratios.to_numpy())
        # The tolerance accepts a threshold that is met up to a rounding error.
        needed[scaling] = min(int((total < threshold - 1e-9).sum()) + 1, len(total))
        color = style.ASSISTANT if scaling == "centred" else style.NULL
        numbers = np.arange(1, len(total) + 1)
        marker = "o" if len(total) <= 40 else ""
        axes.plot(numbers, total, color=color, linestyle=dashes, marker=marker, label=name)
        axes.plot(needed[scaling], total[needed[scaling] - 1], "o", ms=9, mfc="none", color=color)
    style.rule(axes, threshold, f"{threshold:.0%}")
    axes.set(xlabel="Components", ylim=(0, 1.03))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.yaxis.set_major_formatter(PercentFormatter(1.0))
    axes.set_title("Cumulative share of the variance")
    axes.legend(loc="lower right")
    return needed


def _extreme(wide: pd.DataFrame) -> str:
    """Describe the position of the default Assistant among the roles on PC 1 and the axis."""
    first = wide.iloc[:, 0]
    roles = first.drop(index=DEFAULT)
    below = int((roles < first[DEFAULT]).sum())
    position = pd.Series(_axis_position(wide), index=wide.index).drop(index=DEFAULT).sort_values()
    near, far = both_ends([readable(str(role)) for role in position.index[::-1]], 3)
    order = f"; along the axis they run from {listed(near)}, closest to it, to {listed(far)}"
    return (
        f"On PC 1 the default Assistant lies closer to the Assistant end than {below} of "
        f"{count(len(roles), 'role')}{order if far else ''}."
    )


def _needed(needed: dict[str, int], threshold: float) -> str:
    parts = [f"{count(n, 'component')} ({SCALINGS[key][0]})" for key, n in needed.items()]
    return f"{listed(parts)} explain {threshold:.0%} of the variance between roles"
