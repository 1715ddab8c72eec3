"""Common style of the figures: colours, fonts, panels, and files with metadata.

An `Illustration` is a figure with its title, its *finding* (a sentence computed from the data that
states the result) and the rows it shows. Title and finding are saved in the file's metadata and
serve as its alternative text; the rows are saved beside it as CSV.

Colours are the colour-blind safe set of Okabe and Ito, darkened where thin lines need contrast on
white. Blue is the default Assistant or the direction under study, vermilion a persona, grey a null.
Text is drawn as paths, so that a figure does not depend on installed fonts.
"""

from __future__ import annotations

import functools
import inspect
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, Literal, NamedTuple, ParamSpec

import matplotlib as mpl
import numpy as np
import pandas as pd
from cycler import cycler
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.patheffects import withStroke
from numpy.typing import ArrayLike, NDArray

from personae.report.plots.figure_files import write_figure, write_rows
from personae.report.wording import typeset

ASSISTANT: Final = "#0B5C9E"
PERSONA: Final = "#C4500C"
NULL: Final = "#7F8792"
COHERENCE: Final = "#6E4B9E"
CAPPED: Final = "#00805A"
INK: Final = "#1C2430"
MUTED: Final = "#5A6472"
FAINT: Final = "#E3E7EC"
CYCLE: Final = (
    "#0B5C9E",
    "#C4500C",
    "#00805A",
    "#A6437E",
    "#B07A00",
    "#3E9BCB",
    "#6E4B9E",
    "#5A6472",
)
"""Line colours of unordered families such as traits and layer bands."""

DIVERGING: Final = LinearSegmentedColormap.from_list(
    "persona_to_assistant",
    ["#8A2F00", "#C4500C", "#EBA36E", "#F6F4F1", "#7FB2DB", "#0B5C9E", "#053A69"],
)
"""Vermilion (persona, negative) through white to blue (Assistant, positive)."""

SEQUENTIAL: Final = LinearSegmentedColormap.from_list("share", ["#FFFFFF", "#7FB2DB", "#053A69"])

_FACTS: Final = ("study", "model", "revision", "weights_digest", "config_digest", "code_digest")

THEME: Final[Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 8.5,
    "text.color": INK,
    "axes.edgecolor": "#9AA3AF",
    "axes.labelcolor": INK,
    "axes.labelsize": 8.5,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlelocation": "left",
    "axes.titlesize": 9.5,
    "axes.titleweight": "bold",
    "axes.titlepad": 8.0,
    "axes.axisbelow": True,
    "axes.grid": True,
    "axes.prop_cycle": cycler(color=CYCLE),
    "grid.color": FAINT,
    "grid.linewidth": 0.7,
    "xtick.color": "#9AA3AF",
    "ytick.color": "#9AA3AF",
    "xtick.labelcolor": MUTED,
    "ytick.labelcolor": MUTED,
    "xtick.labelsize": 8.0,
    "ytick.labelsize": 8.0,
    "xtick.major.size": 3.0,
    "ytick.major.size": 3.0,
    "legend.frameon": False,
    "legend.fontsize": 8.0,
    "legend.handlelength": 2.4,
    "lines.linewidth": 1.8,
    "lines.markersize": 4.5,
    "lines.solid_capstyle": "round",
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
    "svg.fonttype": "path",
    "svg.hashsalt": "personae",
}


Look = dict[str, Any]
"""Keyword arguments for drawing a mark."""


class Illustration(NamedTuple):
    """A figure, its title, the sentence that states its result, and the rows that it shows."""

    figure: Figure
    title: str
    finding: str
    data: Mapping[str, pd.DataFrame] = MappingProxyType({})


_P = ParamSpec("_P")


def illustrated(draw: Callable[_P, Illustration]) -> Callable[_P, Illustration]:
    """Draw with the project's style, independent of the user's matplotlibrc.

    The illustration's data are the tables among the arguments, by the names of the parameters.
    """
    signature = inspect.signature(draw)

    @functools.wraps(draw)
    def themed(*args: _P.args, **kwargs: _P.kwargs) -> Illustration:
        with mpl.rc_context(THEME):
            drawn = draw(*args, **kwargs)
        given = signature.bind(*args, **kwargs).arguments
        shown = {name: rows for name, rows in given.items() if isinstance(rows, pd.DataFrame)}
        return drawn._replace(data=shown)

    return themed


def panels(
    rows: int, columns: int, *, width: float = 9.4, height: float = 3.6, **options: Any
) -> tuple[Figure, np.ndarray[Any, np.dtype[np.object_]]]:
    """Return a figure of ``width x height`` inches and its ``[rows, columns]`` array of axes.

    The figure is not registered with pyplot. ``options`` go to ``Figure.subplots``.
    """
    spacing = ConstrainedLayoutEngine(w_pad=0.06, h_pad=0.06, wspace=0.03, hspace=0.02)
    figure = Figure(figsize=(width, height), layout=spacing)
    FigureCanvasAgg(figure)
    return figure, figure.subplots(rows, columns, squeeze=False, **options)


@illustrated
def nothing_kept(title: str) -> Illustration:
    """Return the placeholder figure for a study whose filter dropped every trait."""
    figure, axes = panels(1, 1, height=1.4)
    axes[0, 0].set_axis_off()
    axes[0, 0].text(0.5, 0.5, "The filter dropped every trait.", ha="center", va="center")
    return Illustration(figure, title, "The filter dropped every trait: there is nothing to show.")


def save(illustration: Illustration, path: str | Path, provenance: Mapping[str, str]) -> None:
    """Write an illustration as SVG and, beside it, as PDF and its rows as CSV.

    Title, finding, provenance and the tables behind it are in the files' metadata.
    """
    facts = "; ".join(f"{name}={provenance[name]}" for name in _FACTS if name in provenance)
    notes = {
        "Title": illustration.title,
        "Description": typeset(illustration.finding),
        "Source": facts,
        "Relation": "; ".join(json.loads(provenance.get("inputs", "{}"))),
    }
    with mpl.rc_context(THEME):
        write_figure(illustration.figure, Path(path), notes)
    write_rows(illustration.data, Path(path).with_suffix(".csv"))


def band(
    axes: Axes, x: ArrayLike, low: ArrayLike, high: ArrayLike, color: str, alpha: float = 0.18
) -> None:
    """Shade an interval; positions with missing bounds stay empty."""
    bounds = (np.asarray(low, dtype=np.float64), np.asarray(high, dtype=np.float64))
    axes.fill_between(np.asarray(x), *bounds, color=color, alpha=alpha, linewidth=0)


def error_lengths(value: ArrayLike, low: ArrayLike, high: ArrayLike) -> NDArray[np.float64]:
    """Return lengths of error bars below and above ``[2, n]``; zero where there is no interval."""
    middle, below, above = (np.atleast_1d(np.asarray(v, dtype=float)) for v in (value, low, high))
    return np.asarray(np.nan_to_num(np.clip([middle - below, above - middle], 0.0, None)))


def limit(axes: Axes, which: Literal["x", "y"], low: float, high: float) -> None:
    """Cut an axis to ``low .. high``: intervals over few units extend far beyond any scale."""
    shown = axes.get_xlim() if which == "x" else axes.get_ylim()
    cut = (max(shown[0], low), min(shown[1], high))
    axes.set_xlim(cut) if which == "x" else axes.set_ylim(cut)


def rule(axes: Axes, value: float, text: str = "", *, vertical: bool = False) -> None:
    """Draw a thin dashed reference line with a muted label at its end."""
    draw = axes.axvline if vertical else axes.axhline
    draw(value, color=MUTED, linewidth=0.9, linestyle=(0, (4, 3)), zorder=1.5)
    if not text:
        return
    halo = [withStroke(linewidth=2.5, foreground="white")]
    look: Look = {"color": MUTED, "fontsize": 7.2, "va": "bottom", "path_effects": halo}
    if vertical:
        axes.text(value, 1.0, text, transform=axes.get_xaxis_transform(), ha="center", **look)
    else:
        axes.text(1.0, value, text, transform=axes.get_yaxis_transform(), ha="right", **look)


def color_bar(marks: ScalarMappable, axes: Axes, label: str) -> None:
    """Add a narrow colour bar beside a panel."""
    figure = axes.get_figure(root=True)
    assert figure is not None
    bar = figure.colorbar(marks, ax=axes, shrink=0.6, aspect=28, pad=0.015)
    bar.outline.set_visible(False)
    bar.set_label(label, fontsize=7.5)


def readable_on(background: tuple[float, ...]) -> str:
    """Return the text colour, dark or white, with more contrast on an RGB background (0-1)."""
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in background[:3]]
    luminance = float(np.dot([0.2126, 0.7152, 0.0722], linear))
    return INK if luminance > 0.22 else "white"


def absent(axes: Axes, reason: str) -> None:
    """Write into an empty panel why nothing is drawn."""
    axes.set_axis_off()
    axes.text(0.5, 0.5, reason, transform=axes.transAxes, ha="center", va="center", color=MUTED)
