"""How firm the choice of a trait's layer is, and whether cheap selectors would choose it (PV).

The choice is the layer sweep's: the largest gain of the mean trait score among arms whose mean
coherence reaches the floor. Questions are resampled to see how often each layer is chosen; each
question in turn is left out of the choice, and the gain of the layer that the others chose is
measured on it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from personae.data.table_values import number_or_none
from personae.science.activation_sums import read_sums
from personae.science.cluster_inference import mean_of_clusters
from personae.science.resampling import Bootstrap, midranks, ratio
from personae.science.statistics import pearson

FloatArray = NDArray[np.float64]

SELECTORS = ("separation_auc", "norm_ratio", "logit_effect")


def residual_norms(default: str) -> dict[int, float]:
    """Return the mean length of the residual stream by layer.

    It is that of the default Assistant's responses, from its ``activation_sums``: what the table
    ``directions`` says as well, which is there only after all roles.
    """
    _, sums = read_sums(default)
    return dict(zip(sums.layers, sums.mean_length.tolist(), strict=True))


class SweptLayers(NamedTuple):
    """Scores of a layer sweep, arms by questions.

    Attributes
    ----------
    layers, coefficients
        ``[a]`` of every steered arm.
    gains
        ``[a, questions]`` trait score minus that of the unsteered arm, NaN where unscored.
    coherence
        ``[a, questions]`` coherence 0-100.
    questions
        Names of the questions.
    """

    layers: NDArray[np.int64]
    coefficients: FloatArray
    gains: FloatArray
    coherence: FloatArray
    questions: list[str]


def swept_layers(
    responses: pd.DataFrame, traits: Mapping[str, float], coherence: Mapping[str, float]
) -> SweptLayers:
    """Arrange the layer sweep of one trait.

    Parameters
    ----------
    responses
        Table ``steered_responses`` of the sweep; only positive coefficients can be chosen.
    traits, coherence
        Scores 0-100 by ``response_id``, NaN where unscored.
    """
    frame = responses.assign(
        trait_score=[traits.get(name, math.nan) for name in responses.response_id],
        coherence=[coherence.get(name, math.nan) for name in responses.response_id],
    )
    plain = frame[frame.coefficient == 0].groupby("question_id").trait_score.mean()
    steered = frame[frame.coefficient > 0]
    keys = ["layer", "coefficient"]
    wide = {
        name: steered.pivot_table(
            index=keys, columns="question_id", values=name, dropna=False
        ).reindex(columns=plain.index)
        for name in ("trait_score", "coherence")
    }
    arms = wide["trait_score"].index
    return SweptLayers(
        arms.get_level_values("layer").to_numpy(np.int64),
        arms.get_level_values("coefficient").to_numpy(float),
        (wide["trait_score"] - plain).to_numpy(float),
        wide["coherence"].reindex(arms).to_numpy(float),
        [str(name) for name in plain.index],
    )


def choose(swept: SweptLayers, weights: FloatArray, floor: float) -> int | None:
    """Return the arm that is chosen on weighted questions ``[questions]``; None if none is scored.

    Where no arm reaches the floor the most coherent one is taken, as the sweep does.
    """
    gains, coherent = (_weighted(part, weights) for part in (swept.gains, swept.coherence))
    known = np.isfinite(gains) & np.isfinite(coherent)
    if not known.any():
        return None
    passing = known & (coherent >= floor)
    ranked, allowed = (gains, passing) if passing.any() else (coherent, known)
    return int(np.argmax(np.where(allowed, ranked, -np.inf)))


def _weighted(values: FloatArray, weights: FloatArray) -> FloatArray:
    known = np.isfinite(values)
    total = (known * weights).sum(axis=1)
    sums = (np.where(known, values, 0.0) * weights).sum(axis=1)
    return ratio(sums, total)


def choice_rows(
    trait: str,
    swept: SweptLayers,
    selectors: pd.DataFrame,
    floor: float,
    plan: Bootstrap,
) -> list[dict[str, Any]]:
    """Return one row per candidate layer. Columns of ``layer_choices``.

    Parameters
    ----------
    selectors
        Columns ``layer``, ``dose_per_coefficient`` (length of the vector in units of the residual
        stream's), and the cheap `SELECTORS`.

    Returns
    -------
    list of dict
        ``gain`` of the best coherent arm of the layer; ``share`` of the resamples of questions that
        choose it; ``heldout_gain`` the mean gain on questions left out of the choice, the same in
        all rows, as are ``agree_*``: rank correlation of a selector with the gain over layers.
    """
    n = len(swept.questions)
    shares = _shares(swept, floor, plan)
    at = selectors.set_index("layer")
    even = np.ones(n)
    first = choose(swept, even, floor)
    means, coherent = (_weighted(part, even) for part in (swept.gains, swept.coherence))
    heldout = _heldout(swept, floor)
    layers = sorted(set(swept.layers.tolist()))
    best = {layer: _best_arm(swept, layer, means, coherent, floor) for layer in layers}
    agreement = {
        f"agree_{name}": _rank_correlation(
            [means[best[layer]] for layer in layers], [at.loc[layer, name] for layer in layers]
        )
        for name in SELECTORS
    }
    return [
        {
            "trait": trait,
            "layer": layer,
            "coefficient": float(swept.coefficients[arm]),
            "dose": float(swept.coefficients[arm] * at.loc[layer, "dose_per_coefficient"]),
            "gain": number_or_none(means[arm]),
            "coherence": number_or_none(coherent[arm]),
            "chosen": first is not None and int(swept.layers[first]) == layer,
            "share": shares.get(layer, 0.0),
            "n_questions": n,
            **heldout,
            **{name: number_or_none(float(at.loc[layer, name])) for name in SELECTORS},
            **agreement,
        }
        for layer, arm in best.items()
    ]


def _best_arm(
    swept: SweptLayers, layer: int, gains: FloatArray, coherent: FloatArray, floor: float
) -> int:
    arms = [index for index, at in enumerate(swept.layers) if at == layer]
    passing = [index for index in arms if coherent[index] >= floor] or arms
    return max(passing, key=lambda index: -math.inf if np.isnan(gains[index]) else gains[index])


def _shares(swept: SweptLayers, floor: float, plan: Bootstrap) -> dict[int, float]:
    """Return the share of resamples of questions that choose each layer."""
    n = len(swept.questions)
    counts = np.random.default_rng(plan.seed).multinomial(n, np.full(n, 1 / n), size=plan.draws)
    found = [choose(swept, row.astype(float), floor) for row in counts]
    chosen = [int(swept.layers[arm]) for arm in found if arm is not None]
    return {layer: chosen.count(layer) / len(chosen) for layer in set(chosen)}


def _heldout(swept: SweptLayers, floor: float) -> dict[str, float | None]:
    """Return the mean gain on each question, of the layer that the other questions chose."""
    n = len(swept.questions)
    values = []
    for index in range(n):
        others = np.ones(n)
        others[index] = 0.0
        arm = choose(swept, others, floor) if n > 1 else None
        values.append(math.nan if arm is None else float(swept.gains[arm, index]))
    found = mean_of_clusters(values, swept.questions).interval
    return {
        "heldout_gain": number_or_none(found.estimate),
        "heldout_low": number_or_none(found.low),
        "heldout_high": number_or_none(found.high),
    }


def _rank_correlation(gains: Sequence[float], selector: Sequence[float]) -> float | None:
    x, y = np.asarray(gains, float), np.asarray(selector, float)
    known = np.isfinite(x) & np.isfinite(y)
    if known.sum() < 3:
        return None
    return number_or_none(pearson(midranks(x[known]), midranks(y[known])))
