"""Files of a figure: SVG with metadata, PDF, and the rows that it shows as CSV."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.transforms import Bbox

from personae.base.atomic_files import replace_atomically


class Region(NamedTuple):
    """A part of a figure that makes sense by itself, in shares of its width and height.

    ``left`` and ``right`` count from the left, ``top`` and ``bottom`` from above.
    """

    left: float
    top: float
    right: float
    bottom: float


def write_figure(figure: Figure, path: Path, notes: Mapping[str, str]) -> None:
    """Write a figure as SVG and PDF; it is laid out once for both.

    Files are replaced atomically and contain no date: the same figure gives the same bytes.

    Parameters
    ----------
    notes
        Metadata by the names of SVG (``Title``, ``Description``, ``Source``, ``Relation``); the SVG
        also says the figure's `regions`.
    """
    parts = " ".join(",".join(f"{x:.4f}" for x in part) for part in regions(figure))
    figure.set_layout_engine("none")
    in_svg = {**notes, "Coverage": parts, "Creator": "personae", "Date": None}
    in_pdf = {"Title": notes["Title"], "Subject": notes["Description"]}
    in_pdf |= {"Keywords": notes["Source"], "Creator": "personae"}
    for form, metadata in (("svg", in_svg), ("pdf", {**in_pdf, "CreationDate": None})):
        with replace_atomically(path.with_suffix(f".{form}")) as partial:
            figure.savefig(partial, format=form, metadata=metadata)


def write_rows(data: Mapping[str, pd.DataFrame], path: Path) -> None:
    """Write the rows that a figure shows as CSV; of several tables, ``table`` is the first column.

    Parameters
    ----------
    data
        Tables by name; none for a placeholder.
    """
    if not data:
        rows = pd.DataFrame(columns=["table"])
    elif len(data) == 1:
        rows = next(iter(data.values()))
    else:
        rows = pd.concat([t.assign(table=name)[["table", *t]] for name, t in data.items()])
    with replace_atomically(path) as partial:
        rows.to_csv(partial, index=False, float_format="%.7g")


def regions(figure: Figure) -> list[Region]:
    """Return the columns of a figure's panels, and its common legends: a narrow page stacks them.

    A figure that cannot be divided (panels overlap all across) is one region.
    """
    figure.draw_without_rendering()
    width, height = float(figure.bbox.width), float(figure.bbox.height)
    legends = [legend.get_window_extent() for legend in figure.legends]
    # Legends lie below or above all panels: the columns end where they begin.
    below = max((box.y1 for box in legends if box.y1 < height / 2), default=0.0)
    above = min((box.y0 for box in legends if box.y0 >= height / 2), default=height)
    edges = [0.0, *_gaps(figure), width]
    columns = [Bbox([[x0, below], [x1, above]]) for x0, x1 in itertools.pairwise(edges)]
    if len(columns) == 1:
        return [Region(0.0, 0.0, 1.0, 1.0)]
    return [
        Region(box.x0 / width, 1 - box.y1 / height, box.x1 / width, 1 - box.y0 / height)
        for box in (*columns, *legends)
    ]


def _gaps(figure: Figure) -> Iterator[float]:
    """Yield the middles of the gaps between columns of panels, in pixels from the left."""
    boxes = [box for axes in figure.axes if (box := axes.get_tightbbox()) is not None]
    end = None
    for box in sorted(boxes, key=lambda box: float(box.x0)):
        if end is not None and box.x0 > end:
            yield (float(box.x0) + end) / 2
        end = float(box.x1) if end is None else max(end, float(box.x1))
