"""Steering along trait vectors: layer sweep and coefficient sweep."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from personae.data.effect_tables import baseline, usable_coefficient
from personae.report.plots import style
from personae.report.plots.style import Illustration, illustrated, panels
from personae.report.wording import capital, listed, readable

_MOST_TRAITS = 12  # the first by name; the tables hold all
_PER_ROW = 5

Grid = list[tuple[str, Axes, Axes]]
"""Trait, trait-score panel, coherence panel."""


def _grid(traits: Sequence[str]) -> tuple[Figure, Grid]:
    """Create two stacked panels per trait, in as few rows of traits as fit."""
    blocks = int(np.ceil(len(traits) / _PER_ROW))
    columns = int(np.ceil(len(traits) / blocks))
    figure, axes = panels(
        2 * blocks,
        columns,
        height=3.9 * blocks + 0.35,
        height_ratios=[1.5, 1.0] * blocks,
        sharex=True,
        sharey="row",
    )
    grid: Grid = []
    for i in range(blocks * columns):
        block, column = divmod(i, columns)
        top, bottom = axes[2 * block, column], axes[2 * block + 1, column]
        if i >= len(traits):
            top.set_axis_off()
            bottom.set_axis_off()
            continue
        grid.append((traits[i], top, bottom))
        top.set_title(capital(readable(traits[i])))
        bottom.tick_params(labelbottom=True)
        if column == 0:
            top.set_ylabel("Trait score (0-100)")
            bottom.set_ylabel("Coherence (0-100)")
    return figure, grid


@illustrated
def layer_sweep(effects: pd.DataFrame, *, coherence_floor: float) -> Illustration:
    """Plot trait score and coherence by steered layer, with the chosen layer marked.

    Parameters
    ----------
    effects
        Rows of ``steering_effects`` of all traits' layer sweeps, of one judge.
    coherence_floor
        Minimum coherence (0-100) of a layer that may be chosen.
    """
    traits = sorted(effects.trait.unique())[:_MOST_TRAITS]
    figure, grid = _grid(traits)
    effects = effects.assign(dose=_doses(effects))
    doses = sorted(effects.dose[effects.dose > 0].unique())
    shades = style.SEQUENTIAL(np.linspace(0.85, 0.4, len(doses)))[::-1]
    chosen, incoherent = [], []
    for trait, top, bottom in grid:
        rows = effects[effects.trait == trait]
        for rubric, axes in (("trait", top), ("coherence", bottom)):
            style.rule(axes, baseline(rows, rubric), "unsteered" if rubric == "trait" else "")
            for shade, dose in zip(shades, doses, strict=True):
                line = rows[(rows.rubric == rubric) & (rows.dose == dose)].sort_values("layer")
                style.band(axes, line.layer, line.low, line.high, shade, alpha=0.13)
                axes.plot(line.layer, line["mean"], color=shade, marker="o")
            axes.set_ylim(0, 100)
        _coherence_panel(bottom, coherence_floor, "Steered layer")
        bottom.xaxis.set_major_locator(MaxNLocator(integer=True))
        words, coherence = _mark_chosen(rows, top, bottom)
        chosen.append(f"{readable(trait)} at {words}")
        if coherence < coherence_floor:
            incoherent.append(readable(trait))
    names = [_dose_name(effects[effects.dose == dose]) for dose in doses]
    _sweep_legend(figure, dict(zip(names, shades, strict=True)))
    finding = (
        f"Chosen is the layer with the largest gain in trait score whose coherence is at least "
        f"{coherence_floor:g}: {listed(chosen)}."
    )
    if incoherent:
        finding += f" For {listed(incoherent)} no layer is coherent; the most coherent is used."
    return Illustration(figure, "Layer sweep", finding)


def _doses(effects: pd.DataFrame) -> pd.Series[int]:
    """Number the coefficients of every trait and layer from 1; no steering is 0.

    The same share of the residual stream's length is another coefficient at every layer.
    """
    steered = effects[effects.coefficient != 0]
    ranks = steered.groupby(["trait", "layer"]).coefficient.rank(method="dense")
    return ranks.reindex(effects.index, fill_value=0.0).astype(int)


def _dose_name(rows: pd.DataFrame) -> str:
    coefficients = rows.coefficient.unique()
    if len(coefficients) == 1:
        return f"coefficient {coefficients[0]:g}"
    return f"dose {int(rows.dose.iloc[0])} (the same share of the residual stream at every layer)"


def _sweep_legend(figure: Figure, shades: dict[str, Any]) -> None:
    handles = [
        *(Line2D([], [], color=s, marker="o", label=name) for name, s in shades.items()),
        Line2D([], [], color=style.PERSONA, lw=0.9, ls=":", label="coherence floor"),
        Line2D([], [], color=style.ASSISTANT, lw=6, alpha=0.2, label="chosen layer"),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles))


def _coherence_panel(axes: Axes, floor: float, horizontal: str) -> None:
    """Mark the floor in a coherence panel, and label the x axis shared by a trait's panels."""
    axes.axhline(floor, color=style.PERSONA, lw=0.9, ls=(0, (1, 2)))
    axes.set_xlabel(horizontal)


def _mark_chosen(rows: pd.DataFrame, top: Axes, bottom: Axes) -> tuple[str, float]:
    """Shade the chosen layer; return its gain as text and its coherence."""
    picked = rows[rows.chosen.fillna(False).astype(bool)].set_index("rubric")
    best = picked.loc["trait"]
    half = 0.3 * float(np.diff(np.unique(rows.layer)).min()) if rows.layer.nunique() > 1 else 0.5
    for axes in (top, bottom):
        span = (best.layer - half, best.layer + half)
        axes.axvspan(*span, color=style.ASSISTANT, alpha=0.12, lw=0)
    gain = best["mean"] - baseline(rows, "trait")
    words = f"layer {int(best.layer)} ({gain:+.0f} points at coefficient {best.coefficient:.3g})"
    return words, float(picked["mean"]["coherence"])


@illustrated
def steering(effects: pd.DataFrame, *, coherence_floor: float) -> Illustration:
    """Plot trait score and coherence by coefficient, along the trait and random directions.

    Parameters
    ----------
    effects
        Rows of ``steering_effects`` of all traits' coefficient sweeps, of one judge.
    coherence_floor
        Minimum mean coherence (0-100) of a coefficient that counts.
    """
    traits = sorted(effects.trait.unique())[:_MOST_TRAITS]
    figure, grid = _grid(traits)
    for trait, top, bottom in grid:
        rows = effects[effects.trait == trait]
        random = rows.direction.str.startswith("random")
        unsteered = rows.coefficient == 0  # generated once: the same in every direction
        for rubric, axes, color in (
            ("trait", top, style.ASSISTANT),
            ("coherence", bottom, style.COHERENCE),
        ):
            of_rubric = rows.rubric == rubric
            _curve(axes, rows[of_rubric & (random | unsteered)], style.NULL, "s")
            _curve(axes, rows[of_rubric & ~random], color, "o")
            axes.axvline(0, color=style.MUTED, lw=0.7)
            axes.set_ylim(0, 100)
        _coherence_panel(bottom, coherence_floor, "Coefficient")
    _steering_legend(figure)
    found = [_effect(effects[effects.trait == trait], coherence_floor) for trait in traits]
    finding = (
        f"Change in trait score from no steering to the largest positive coefficient whose "
        f"coherence is at least {coherence_floor:g}: {'; '.join(found)}."
    )
    return Illustration(figure, "Steering along trait vectors", finding)


def _steering_legend(figure: Figure) -> None:
    handles = [
        Line2D([], [], color=style.ASSISTANT, marker="o", label="trait score, trait vector"),
        Line2D([], [], color=style.COHERENCE, marker="o", label="coherence, trait vector"),
        Line2D([], [], color=style.NULL, marker="s", label="random direction of the same norm"),
        Line2D([], [], color=style.PERSONA, lw=0.9, ls=":", label="coherence floor"),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=4)


def _curve(axes: Axes, rows: pd.DataFrame, color: str, marker: str) -> None:
    """Draw the mean over directions with the widest bounds of their intervals."""
    line = rows.groupby("coefficient", as_index=False).agg(
        mean=("mean", "mean"), low=("low", "min"), high=("high", "max")
    )
    style.band(axes, line.coefficient, line.low, line.high, color)
    axes.plot(line.coefficient, line["mean"], color=color, marker=marker, ms=4)


def _effect(rows: pd.DataFrame, coherence_floor: float) -> str:
    trait = readable(str(rows.trait.iloc[0]))
    coefficient = usable_coefficient(rows, coherence_floor)
    if coefficient is None:
        return f"no coherent coefficient for {trait}"
    here = rows[(rows.coefficient == coefficient) & (rows.rubric == "trait")]
    random = here.direction.str.startswith("random")
    start = baseline(rows, "trait")
    text = f"{here[~random]['mean'].mean() - start:+.0f} for {trait} (coefficient {coefficient:g}"
    if random.any():
        text += f"; random {here[random]['mean'].mean() - start:+.0f}"
    return text + ")"
