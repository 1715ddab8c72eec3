"""What fine-tuning does to the residual stream and to a trait (PV, fine-tuning shift).

The shift of an adapter along a trait vector ``v`` is ``<h_after - h_before, v> / |v|^2``, with
``h`` the residual stream of the last prompt token after block ``layer``, averaged over evaluation
questions without a system prompt. Its unit is the vector's length: 1 is as far as steering with
coefficient 1 moves, toward the trait.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from personae.data.table_values import number_or_none, numbers_or_none
from personae.data.vector_stacks import Stack
from personae.science.chosen_vectors import ChosenVector
from personae.science.cluster_inference import mean_of_clusters
from personae.science.jackknife import FISHER, jackknife_interval
from personae.science.statistics import pearson

FloatArray = NDArray[np.float64]

BASE: Final = "base"
"""Stands for the model before training where a table names an adapter."""
PLAIN: Final = "plain"
TRAIT: Final = "trait"
SHUFFLES: Final = 20
"""Vectors with shuffled coordinates: same length and values, another direction."""

_ENUMERATED: Final = 5040


@dataclass(frozen=True)
class Answered:
    """What the adapters of one trait's training data answered.

    Attributes
    ----------
    responses
        Columns of ``finetuned_responses``, without steered ones.
    prompts
        Residual stream of the last prompt token by the ``response_id`` of sample 0.
    scores
        Trait score 0-100 by ``response_id``, NaN where unscored.
    """

    responses: pd.DataFrame
    prompts: Stack
    scores: Mapping[str, float]


def shift_rows(
    answered: Answered, directions: Mapping[str, ChosenVector], judge: str, seed: int
) -> list[dict[str, Any]]:
    """Return shift and change of the trait score of every adapter and measured trait.

    Both are paired with the model before training by question, and intervals are over questions.
    Columns of ``finetuning_shifts``; ``vector`` is ``trait``, or ``shuffled00`` and so on for the
    same vector with its coordinates shuffled.
    """
    rows = []
    frame = answered.responses.assign(
        score=[answered.scores.get(name, math.nan) for name in answered.responses.response_id]
    )
    for (adapter, trait), found in frame.groupby(["adapter", "trait"], sort=False):
        if adapter == BASE or trait not in directions:
            continue
        before = frame[(frame.adapter == BASE) & (frame.trait == trait)]
        at = directions[str(trait)]
        moved = _moved(answered.prompts, at.layer, found, before)
        first = found.iloc[0]
        shared = {
            **{name: first[name] for name in ("adapter", "trained", "level", "arm", "trait")},
            "layer": at.layer,
            "judge": judge,
            **_score_columns(found, before),
        }
        for name, vector in _named_directions(at.vector, seed):
            shift = mean_of_clusters(moved.values @ vector, moved.index).interval
            rows.append({**shared, "vector": name, **numbers_or_none(shift.columns("shift"))})
    return rows


def _named_directions(vector: NDArray[np.float32], seed: int) -> list[tuple[str, FloatArray]]:
    """Return the vector and its shuffles, scaled so that a product is in units of its length."""
    wide = vector.astype(np.float64)
    scaled = wide / float(wide @ wide)
    shuffled = [
        (f"shuffled{index:02d}", np.random.default_rng([seed, index]).permutation(scaled))
        for index in range(SHUFFLES)
    ]
    return [(TRAIT, scaled), *shuffled]


def _moved(prompts: Stack, layer: int, after: pd.DataFrame, before: pd.DataFrame) -> pd.DataFrame:
    """Return the change of the last prompt token's stream ``[questions, hidden]``, by question."""
    at = prompts.layers.index(layer)
    place = {key: i for i, key in enumerate(prompts.keys)}

    def streams(rows: pd.DataFrame) -> pd.DataFrame:
        first = rows[rows["sample"] == 0].set_index("question_id").sort_index()
        values = prompts.vectors[[place[name] for name in first.response_id], at]
        return pd.DataFrame(values.astype(np.float64), index=first.index)

    return streams(after) - streams(before)


def _score_columns(after: pd.DataFrame, before: pd.DataFrame) -> dict[str, Any]:
    means = [rows.groupby("question_id").score.mean().sort_index() for rows in (after, before)]
    change = means[0] - means[1]
    return {
        "n": int(after.score.notna().sum()),
        "n_unscored": int(after.score.isna().sum()),
        "score_before": number_or_none(means[1].mean()),
        "score_after": number_or_none(means[0].mean()),
        **numbers_or_none(
            mean_of_clusters(change.to_numpy(), change.index.to_numpy()).interval.columns("change")
        ),
    }


def correlation_rows(shifts: pd.DataFrame, seed: int) -> list[dict[str, Any]]:
    """Correlate shift and change over plain adapters and traits.

    Parameters
    ----------
    shifts
        Table ``finetuning_shifts`` of all adapters.
    seed
        Of the exchanges. The interval is the jackknife over adapters. The p-value exchanges the
        adapters' changes as whole rows, all orders of at most seven adapters and random ones of
        more.

    Returns
    -------
    list of dict
        Rows of ``finetuning_correlations`` for all pairs of adapter and trait, for the trait of the
        training data, and for the other ones (the control with other traits' data).
        ``shuffled_p95`` is the 95th percentile of r along the shuffled vectors.
    """
    plain = shifts[(shifts.arm == PLAIN) & shifts.change.notna() & shifts["shift"].notna()]
    own = plain.trait == plain.trained
    groups = {"all": plain, "own trait": plain[own], "other traits": plain[~own]}
    return [_correlation(name, rows, seed) for name, rows in groups.items() if len(rows)]


def _correlation(name: str, rows: pd.DataFrame, seed: int) -> dict[str, Any]:
    along = rows[rows.vector == TRAIT]
    x, y = along["shift"].to_numpy(float), along.change.to_numpy(float)
    adapters = along.adapter.to_numpy()
    r = pearson(x, y)
    left_out = [pearson(x[adapters != name], y[adapters != name]) for name in np.unique(adapters)]
    bounds = jackknife_interval(r, left_out, FISHER)
    shuffled = [
        pearson(part["shift"].to_numpy(float), part.change.to_numpy(float))
        for vector, part in rows.groupby("vector")
        if vector != TRAIT
    ]
    null = _exchanged(along, seed)
    return {
        "pairs": name,
        "n": len(along),
        "n_adapters": len(set(adapters)),
        "r": number_or_none(r),
        "low": number_or_none(bounds.low),
        "high": number_or_none(bounds.high),
        "shuffled_p95": number_or_none(float(np.nanquantile(shuffled, 0.95)))
        if np.isfinite(shuffled).any()
        else None,
        "p_value": None if math.isnan(r) or null is None else float((null >= r - 1e-12).mean()),
    }


def _exchanged(along: pd.DataFrame, seed: int) -> FloatArray | None:
    """Return r with the rows of changes of whole adapters exchanged; None if none can be.

    The order as it is is among them, so that no p-value is 0.
    """
    wide = [along.pivot(index="adapter", columns="trait", values=n) for n in ("shift", "change")]
    x, y = (part.to_numpy(float) for part in wide)
    n = len(x)
    if n < 2 or np.isnan(x).any() or np.isnan(y).any():
        return None
    if math.factorial(n) <= _ENUMERATED:
        orders = [list(order) for order in itertools.permutations(range(n))]
    else:
        rng = np.random.default_rng(seed)
        orders = [list(range(n)), *(rng.permutation(n).tolist() for _ in range(_ENUMERATED - 1))]
    return np.array([pearson(x.ravel(), y[order].ravel()) for order in orders])


def mean_by_dataset(shifts: pd.DataFrame) -> dict[tuple[str, str, str], Sequence[float]]:
    """Return shift and change of the plain adapters by trained trait, level and trait."""
    rows = shifts[(shifts.arm == PLAIN) & (shifts.vector == TRAIT)]
    return {
        (str(row.trained), str(row.level), str(row.trait)): (row._asdict()["shift"], row.change)
        for row in rows.itertuples()
    }
