"""Select points to label and place the labels without overlaps.

adjustText and textalloc were compared on the persona space of the demo: both put labels further
from their points or over other marks, and adjustText imports pyplot.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.transforms import Bbox
from numpy.typing import NDArray

_OFFSETS = [
    (6, 0, "left", "center"),
    (-6, 0, "right", "center"),
    (0, 6, "center", "bottom"),
    (0, -6, "center", "top"),
    (5, 5, "left", "bottom"),
    (-5, 5, "right", "bottom"),
    (5, -5, "left", "top"),
    (-5, -5, "right", "top"),
]


def select_extremes(values: NDArray[np.float64], most: int) -> list[int]:
    """Return the indices of at most ``most`` values; if there are more, half from each end."""
    order = np.argsort(values)
    if len(order) <= most:
        return [int(i) for i in order]
    half = most // 2
    return [int(i) for i in (*order[:half], *order[-(most - half) :])]


def settle(figure: Figure) -> None:
    """Fix limits and layout, so that positions on the canvas no longer change."""
    figure.draw_without_rendering()


def place_labels(
    axes: Axes,
    points: NDArray[np.float64],
    names: Sequence[str],
    *,
    obstacles: NDArray[np.float64],
    taken: Sequence[Bbox] = (),
    distance: float = 1.0,
    drop_crowded: bool = False,
    **style: Any,
) -> list[Bbox]:
    """Place each name next to its point where it overlaps the fewest marks and labels.

    Parameters
    ----------
    points
        ``[n, 2]`` data coordinates, in order of importance: earlier labels are placed first.
    obstacles
        ``[m, 2]`` data coordinates of marks that labels should not cover.
    taken
        Boxes of existing labels, as returned by an earlier call.
    distance
        Distance of a label from its point, relative to that for a small dot.
    drop_crowded
        Leave out a name that would cover another label wherever it is put.
    style
        Passed to ``Axes.annotate``.

    Returns
    -------
    list of Bbox
        ``taken`` and the boxes of the new labels, in canvas coordinates.

    Notes
    -----
    Greedy over eight positions and deterministic. Call `settle` first.
    """
    figure = axes.get_figure(root=True)
    assert figure is not None
    renderer = figure.canvas.get_renderer()  # type: ignore[attr-defined]
    marks = axes.transData.transform(obstacles)
    boxes = list(taken)
    for point, name in zip(points, names, strict=True):
        label = axes.annotate(name, point, xytext=(0, 0), textcoords="offset points", **style)
        costs = []
        for offset in _OFFSETS:
            _move(label, offset, distance)
            costs.append(_cost(label.get_window_extent(renderer), boxes, marks, axes.bbox))
        _move(label, _OFFSETS[int(np.argmin(costs))], distance)
        box = label.get_window_extent(renderer)
        if drop_crowded and any(Bbox.intersection(box, other) for other in boxes):
            label.remove()
        else:
            boxes.append(box)
    return boxes


def _move(label: Text, offset: tuple[float, float, str, str], distance: float) -> None:
    """Move a label to one side of its point."""
    dx, dy, ha, va = offset
    place = (distance * dx, distance * dy)
    label.set(position=place, horizontalalignment=ha, verticalalignment=va)


def _cost(box: Bbox, taken: Iterable[Bbox], marks: NDArray[np.float64], frame: Any) -> float:
    """Return the overlapped label area plus penalties for covered marks and leaving the axes."""
    overlap = sum(
        (common.width * common.height)
        for other in taken
        if (common := Bbox.intersection(box, other))
    )
    inside = (
        (marks[:, 0] > box.x0)
        & (marks[:, 0] < box.x1)
        & (marks[:, 1] > box.y0)
        & (marks[:, 1] < box.y1)
    )
    outside = box.x0 < frame.x0 or box.x1 > frame.x1 or box.y0 < frame.y0 or box.y1 > frame.y1
    return float(overlap) + 60.0 * float(inside.sum()) + (5000.0 if outside else 0.0)
