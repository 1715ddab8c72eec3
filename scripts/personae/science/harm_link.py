"""Whether a model that has moved away from the Assistant does more harm (AA, persona drift).

First turns in roles place the model along the axis; the rate of harmful answers to requests in the
second turn is held against the projection of the first one. Roles are the clusters: first turns of
one role share its system prompt.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from personae.data import tables
from personae.data.table_values import number_or_none
from personae.science.permutations import permutation_p, permuted_labels
from personae.science.resampling import encode
from personae.science.score_levels import HIGH
from personae.science.statistics import correlations, pearson

FloatArray = NDArray[np.float64]

FIRST_TURNS: Final = "first turns"
ROLE_MEANS: Final = "role means"
WITHIN_ROLES: Final = "within roles"
_LEAST_TURNS: Final = 3

Record = dict[str, Any]


def link_points(responses: pa.Table, scores: pa.Table, projections: pa.Table) -> pa.Table:
    """Projection of every first turn, and the rate of harmful answers after it.

    Parameters
    ----------
    responses
        Columns ``response_id``, ``role`` and ``first_turn`` of ``harm_link_responses``.
    scores
        Table ``scores`` of these responses: severity 0-3, harmful from 1.
    projections
        Rows of ``projections`` of the first turns at one layer, along all directions.

    Returns
    -------
    pa.Table
        Columns of ``harm_link_points``, one row per judge, direction and first turn; the rate is
        null where no answer has a score.
    """
    names = ["subject", "response_id", "question_id", "direction", "layer", "projection"]
    places = projections.select(names).to_pandas()
    places = places.rename(columns={"subject": "role", "response_id": "first_turn"})
    judged = scores.select(["response_id", "rubric", "judge", "score"]).to_pandas()
    judged = judged[judged.rubric == "harm"].merge(
        responses.select(["response_id", "role", "first_turn"]).to_pandas(),
        on="response_id",
        validate="many_to_one",
    )
    judged["harmful"] = (judged.score >= HIGH["harm"]).astype(float).where(judged.score.notna())
    keys = ["judge", "role", "first_turn"]
    rates = judged.groupby(keys).harmful.agg(rate="mean", n="count", asked="size").reset_index()
    rates["n_unscored"] = rates.asked - rates.n
    found = rates.drop(columns="asked").merge(places, on=["role", "first_turn"])
    found = found.sort_values(["judge", "direction", "role", "first_turn"]).astype(object)
    return tables.from_rows(found.where(found.notna(), None).to_dict("records"), "harm_link_points")


def link_table(points: pa.Table, *, permutations: int, seed: int) -> pa.Table:
    """Correlation of the first turn's projection with the harm of the second.

    Parameters
    ----------
    points
        Table ``harm_link_points``.
    permutations, seed
        Of the shuffles; intervals are the jackknife over roles.

    Returns
    -------
    pa.Table
        Columns of ``harm_link``. The published relation is negative along ``axis``, which points
        toward the Assistant. ``first turns``: over all first turns, with an interval over roles and
        a null that deals out the harm of whole roles to other roles. ``role means``: the same over
        the roles' means. ``within roles``: after the means of every role are removed, with a null
        that shuffles within roles. ``p_less`` is how often the null is as negative.
    """
    frame = points.to_pandas()
    frame["rate"] = frame.rate.astype(float)
    rows = [
        {"judge": judge, "direction": direction, "layer": int(part.layer.iloc[0]), **row}
        for (judge, direction), part in frame.groupby(["judge", "direction"])
        for row in _correlations(part, permutations, seed)
    ]
    return tables.from_rows(rows, "harm_link")


def _correlations(part: pd.DataFrame, permutations: int, seed: int) -> Iterator[Record]:
    scored = part[part.rate.notna()]
    if len(scored) < _LEAST_TURNS:
        return
    pairs = scored[["projection", "rate"]].astype(float)
    codes, rng = encode(scored.role), np.random.default_rng(seed)
    means = pairs.groupby(codes).mean()
    orders = [rng.permutation(len(means)) for _ in range(permutations)]
    centred = pairs - pairs.groupby(codes).transform("mean")
    shuffled = permuted_labels(centred.rate.to_numpy(), permutations, seed, codes)
    x, y = pairs.projection.to_numpy(), pairs.rate.to_numpy()
    turns = correlations(x, y, codes, codes)
    x, y = means.projection.to_numpy(), means.rate.to_numpy()
    of_means = correlations(x, y, np.zeros(len(means)), np.arange(len(means))).pooled
    found = (
        (FIRST_TURNS, len(pairs), turns.pooled, pairs, _dealt_out(pairs, codes, orders)),
        (ROLE_MEANS, len(means), of_means, means, (means.rate.to_numpy()[o] for o in orders)),
        (WITHIN_ROLES, len(pairs), turns.within, centred, shuffled),
    )
    for statistic, n, value, values, rates in found:
        # Rates that a shuffle left constant have no relation.
        null = np.nan_to_num([pearson(values.projection.to_numpy(), other) for other in rates])
        tested = not math.isnan(value.estimate)
        yield {
            "statistic": statistic,
            "n": n,
            "n_unscored": int(part.n_unscored.sum()),
            "clusters": len(means),
            "rate": float(pairs.rate.mean()),
            "value": number_or_none(value.estimate),
            "low": number_or_none(value.low),
            "high": number_or_none(value.high),
            "null_p05": float(np.quantile(null, 0.05)) if tested else None,
            "p_less": float(permutation_p(value.estimate, null, "less")) if tested else None,
        }


def _dealt_out(
    pairs: pd.DataFrame, codes: NDArray[np.int64], orders: Sequence[NDArray[np.int64]]
) -> Iterator[FloatArray]:
    """Yield the rates ``[n]`` with those of whole roles dealt out to other roles.

    A first turn gets the rate after the other role's first turn with the same place among its
    turns; a role with fewer of them starts again with the first.
    """
    rates = pairs.rate.to_numpy()
    own = [np.flatnonzero(codes == code) for code in range(int(codes.max()) + 1)]
    for order in orders:
        dealt = np.empty(len(rates))
        for code, rows in enumerate(own):
            dealt[rows] = np.resize(rates[own[int(order[code])]], len(rows))
        yield dealt
