"""Heat maps of cosine matrices of roles and of traits."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.image import AxesImage
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from personae.data.effect_tables import AXIS
from personae.report.plots import style
from personae.report.plots.style import Illustration, illustrated, panels
from personae.report.wording import both_ends, capital, count, listed, readable, typeset
from personae.science.trait_geometry import contrast_bound, coordinates_of

_MOST_NAMED = 60
_FEW_NAMED = 30
_MOST_NUMBERED = 18
_MOST_LINES = 8
_FEWEST_TO_COMPARE = 3


def matrix(cosines: pd.DataFrame, layer: int) -> pd.DataFrame:
    """Return the square cosine matrix at ``layer``, ordered by cosine with the Assistant Axis."""
    square = cosines[cosines.layer == layer].pivot(index="left", columns="right", values="cosine")
    order = square[AXIS].drop(index=AXIS).sort_values(ascending=False).index.tolist()
    return square.loc[[AXIS, *order], [AXIS, *order]]


def draw_matrix(axes: Axes, square: pd.DataFrame, *, some_named: int = _MOST_NAMED) -> AxesImage:
    """Draw a cosine matrix with a gap after its first row (the axis), and numbers if they fit.

    ``some_named`` is how many rows are named where not all names fit.
    """
    values = square.to_numpy(dtype=np.float64)
    image = axes.imshow(values, cmap=style.DIVERGING, vmin=-1, vmax=1, interpolation="nearest")
    n = len(square)
    axes.grid(False)
    axes.spines[:].set_visible(False)
    if n <= _MOST_NAMED:
        names = [readable(str(name)) for name in square.index]
        size = 8.0 if n <= 24 else 5.5
        axes.set_xticks(
            range(n), names, rotation=50, ha="right", rotation_mode="anchor", fontsize=size
        )
        axes.set_yticks(range(n), names, fontsize=size)
    else:
        step = int(np.ceil(n / some_named))
        named = [0, *range(step, n, step)]
        names = [readable(str(square.index[i])) for i in named]
        axes.set_yticks(named, names, fontsize=4.8)
        axes.set_xticks([])
        axes.set_xlabel(f"{n - 1} directions, ordered along the axis; every {step}th is named")
    axes.tick_params(length=0)
    axes.axhline(0.5, color="white", lw=3)
    axes.axvline(0.5, color="white", lw=3)
    if n <= _MOST_NUMBERED:
        _write_numbers(axes, values, size=7.2 if n <= 10 else 6.4)
    return image


def _write_numbers(axes: Axes, values: NDArray[np.float64], size: float) -> None:
    for (i, j), value in np.ndenumerate(values):
        if i == j:
            continue
        color = style.readable_on(style.DIVERGING((value + 1) / 2))
        axes.text(
            j, i, typeset(f"{value:.2f}"), ha="center", va="center", fontsize=size, color=color
        )


@illustrated
def role_cosines(cosines: pd.DataFrame, *, middle_layer: int) -> Illustration:
    """Plot cosines between mean-subtracted role vectors, and with the axis.

    Parameters
    ----------
    cosines
        Table ``cosines`` of the axis stage.
    middle_layer
        Layer to show.
    """
    square = matrix(cosines, middle_layer)
    side = float(np.clip(2.6 + 0.33 * len(square), 4.6, 8.6))
    figure, axes = panels(1, 1, width=side + 1.2, height=side)
    style.color_bar(draw_matrix(axes[0, 0], square), axes[0, 0], "Cosine")
    axes[0, 0].set_title(f"Mean-subtracted role vectors, layer {middle_layer}")
    along = square[AXIS].drop(index=AXIS)
    ends = [listed(end) for end in both_ends([readable(str(r)) for r in along.index], 3)]
    roles = square.drop(index=AXIS, columns=AXIS).to_numpy(dtype=np.float64)
    finding = (
        f"Cosines with the Assistant Axis range from {along.iloc[0]:+.2f} ({ends[0]} highest) to "
        f"{along.iloc[-1]:+.2f} ({ends[1]} lowest){_beyond_null(square)}"
        f"{_most_similar(roles, along.index)}."
    )
    if len(along) == 1:
        finding = f"Cosine of {ends[0]} with the Assistant Axis: {along.iloc[0]:+.2f}."
    return Illustration(figure, "Similarity of roles", finding)


def _beyond_null(square: pd.DataFrame) -> str:
    """Say how many roles lie beyond 95% of random contrasts between roles; at least four roles."""
    placed = coordinates_of(square.to_numpy(dtype=np.float64))
    bound = contrast_bound(placed[1:], placed[0])
    if np.isnan(bound):
        return ""
    beyond = int((square[AXIS].iloc[1:].abs() > bound).sum())
    return f"; {beyond} of {len(placed) - 1} are beyond 95% of random contrasts ({bound:.2f})"


def _most_similar(roles: NDArray[np.float64], names: pd.Index) -> str:
    """Return the two most similar roles; the mean-subtracted vectors of two are opposite anyway."""
    if len(roles) < _FEWEST_TO_COMPARE:
        return ""
    pairs = np.ma.masked_array(roles, np.tril(np.ones_like(roles)) > 0)
    i, j = np.unravel_index(int(pairs.argmax()), roles.shape)
    pair = listed([readable(str(names[k])) for k in (i, j)])
    return f"; the two most similar roles are {pair} ({roles[i, j]:+.2f})"


@illustrated
def trait_geometry(
    cosines: pd.DataFrame, pairs: pd.DataFrame, positions: pd.DataFrame, *, middle_layer: int
) -> Illustration:
    """Plot cosines between trait vectors and with the axis; the latter at every layer.

    Parameters
    ----------
    cosines, pairs, positions
        Tables ``cosines`` of the traits stage, ``trait_pair_cosines`` and ``trait_positions``; the
        last two hold the nulls.
    middle_layer
        Layer of the matrix.
    """
    square = matrix(cosines, middle_layer)
    figure, axes = panels(1, 2, height=4.4, width_ratios=[1.15, 1.0])
    image = draw_matrix(axes[0, 0], square, some_named=_FEW_NAMED)
    style.color_bar(image, axes[0, 0], "Cosine")
    axes[0, 0].set_title(f"Trait vectors and the axis, layer {middle_layer}")
    _lines(axes[0, 1], cosines, square.index.drop(AXIS).tolist(), middle_layer)
    return Illustration(
        figure,
        "Geometry of the trait vectors",
        _trait_finding(square, pairs, positions, middle_layer),
    )


def _lines(axes: Axes, cosines: pd.DataFrame, traits: list[str], middle_layer: int) -> None:
    half = _MOST_LINES // 2
    shown = traits if len(traits) <= _MOST_LINES else [*traits[:half], *traits[-half:]]
    with_axis = cosines[cosines.right == AXIS]
    for color, trait in zip(style.CYCLE, shown, strict=False):
        rows = with_axis[with_axis.left == trait].sort_values("layer")
        axes.plot(rows.layer, rows.cosine, color=color, label=readable(trait))
    axes.axhline(0, color=style.MUTED, lw=0.9)
    style.rule(axes, middle_layer, vertical=True)
    axes.set(xlabel="Layer", ylabel="Cosine with the Assistant Axis")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_title("Cosine with the axis by layer")
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.13), ncols=2)


def _trait_finding(
    square: pd.DataFrame, pairs: pd.DataFrame, positions: pd.DataFrame, layer: int
) -> str:
    along = square[AXIS].drop(index=AXIS)
    signed = [f"{readable(str(name))} ({value:+.2f})" for name, value in along.items()]
    away, toward = (
        [text for text, v in zip(signed, along, strict=True) if v < 0],
        [text for text, v in zip(signed, along, strict=True) if v >= 0],
    )
    parts = [
        f"{count(len(away), 'trait')} point{'s' if len(away) == 1 else ''} away from the Assistant"
        + (f": {listed(away[::-1][:5])}" if away else ""),
        f"{count(len(toward), 'trait')} toward it" + (f": {listed(toward[:5])}" if toward else ""),
    ]
    text = f"At layer {layer}, {'; '.join(parts)}."
    if len(positions):
        beyond = int((positions.axis_cosine.abs() > positions.axis_null_p95).sum())
        text += (
            f" {beyond} of {count(len(positions), 'trait')} are beyond 95% of random contrasts "
            f"between roles ({positions.axis_null_p95.iloc[0]:.2f})."
        )
    if len(pairs):
        text += (
            f" Two traits have a mean |cosine| of {pairs.cosine.abs().mean():.2f}; two such "
            f"contrasts stay below {pairs.null_p95.iloc[0]:.2f} in 95% of cases."
        )
    return capital(text)
