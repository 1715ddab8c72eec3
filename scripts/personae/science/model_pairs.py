"""Every pair of a study's models compared over the roles of both (AA, persona space).

Three numbers need no common hidden space: the rank correlation of the cosines between roles (RSA),
the correlation of the places of roles along each model's own axis, and that of the loadings of
roles on matched components. Each has a null in which one model's roles change places.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations
from typing import Any, Final, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from personae.data.table_values import number_or_none
from personae.science.geometry import rsa
from personae.science.jackknife import FISHER, jackknife_interval
from personae.science.model_comparison import matched_components
from personae.science.permutations import permutation_p
from personae.science.statistics import pearson

MODELS: Final = "models"
BASE_AND_INSTRUCT: Final = "base and instruct"

RSA_STATISTIC: Final = "geometry"
ALONG_AXIS: Final = "places on the axis"
COMPONENT: Final = "component"

COMPARED: Final = 3
"""Leading components that are compared; AA interprets three."""
LEAST_ROLES: Final = 8

_AXIS: Final = "assistant_axis"

FloatArray = NDArray[np.float64]
Record = dict[str, Any]


class ComparedModel(NamedTuple):
    """One model at its middle layer.

    Attributes
    ----------
    name, base
        Its name, and that of the base model that it was trained from; empty if none is named.
    cosines
        Rows of ``cosines``: between roles, and of roles with the axis (``assistant_axis``).
    loadings
        Centred loadings of fully played roles, roles as rows and components as columns.
    """

    name: str
    base: str
    cosines: pd.DataFrame
    loadings: pd.DataFrame


def pair_rows(models: Sequence[ComparedModel], *, permutations: int, seed: int) -> list[Record]:
    """Compare every two models. Rows of ``model_comparison``.

    Parameters
    ----------
    models
        Models of a study, in its order.
    permutations, seed
        Shuffles of one model's roles; intervals are the jackknife over roles.

    Returns
    -------
    list of dict
        ``value`` with its interval over roles and the null's 95th percentile. ``relation`` tells a
        base model and the model that was trained from it from any two models. Pairs with fewer than
        `LEAST_ROLES` roles in common have no rows.
    """
    rows = []
    for left, right in combinations(models, 2):
        related = left.base == right.name or right.base == left.name
        place = {
            "left": left.name,
            "right": right.name,
            "relation": BASE_AND_INSTRUCT if related else MODELS,
        }
        rows += [{**place, **row} for row in _compared(left, right, permutations, seed)]
    return rows


def _compared(
    left: ComparedModel, right: ComparedModel, permutations: int, seed: int
) -> Iterator[Record]:
    shared = set(left.cosines.left) & set(right.cosines.left)
    roles = sorted(shared - {_AXIS})
    if len(roles) >= LEAST_ROLES:
        matrices = [role_cosines(model.cosines, roles) for model in (left, right)]
        found = rsa(*matrices, permutations=permutations, seed=seed)
        yield {
            "statistic": RSA_STATISTIC,
            "n_roles": len(roles),
            "value": found.interval.estimate,
            "low": number_or_none(found.interval.low),
            "high": number_or_none(found.interval.high),
            "null_p95": found.null_high,
            "p_value": found.p,
        }
        if _AXIS in shared:
            x, y = (_along_axis(model.cosines, roles) for model in (left, right))
            yield {
                "statistic": ALONG_AXIS,
                "n_roles": len(roles),
                **_correlated(x, y, permutations, seed),
            }
    if len(left.loadings.index.intersection(right.loadings.index)) < LEAST_ROLES:
        return
    for match in matched_components(
        left.loadings, right.loadings, n_components=COMPARED, permutations=permutations, seed=seed
    ):
        yield {
            "statistic": COMPONENT,
            "component": match.component,
            "matched": match.matched,
            "n_roles": match.n_roles,
            "value": match.correlation.estimate,
            "low": number_or_none(match.correlation.low),
            "high": number_or_none(match.correlation.high),
            "null_p95": match.null_p95,
            "p_value": match.p_value,
        }


def role_cosines(cosines: pd.DataFrame, roles: Sequence[str]) -> FloatArray:
    """Return rows of ``cosines`` at one layer as a matrix ``[roles, roles]``."""
    wide = cosines.pivot(index="left", columns="right", values="cosine")
    return np.asarray(wide.loc[roles, roles], dtype=np.float64)


def centred_loadings(rows: pd.DataFrame) -> pd.DataFrame:
    """Return rows of ``role_loadings`` as `ComparedModel.loadings`."""
    kept = rows[(rows.scaling == "centred") & (rows.kind == "fully")]
    return kept.pivot(index="role", columns="component", values="loading")


def _along_axis(cosines: pd.DataFrame, roles: Sequence[str]) -> FloatArray:
    """Cosine of every role with the model's own axis."""
    rows = cosines[cosines.right == _AXIS].set_index("left").cosine
    return np.asarray(rows.loc[roles], dtype=np.float64)


def _correlated(x: FloatArray, y: FloatArray, permutations: int, seed: int) -> Record:
    rng, n = np.random.default_rng(seed), len(x)
    value = pearson(x, y)
    left_out = [pearson(np.delete(x, i), np.delete(y, i)) for i in range(n)]
    null = [pearson(x, rng.permutation(y)) for _ in range(permutations)]
    bounds = jackknife_interval(value, left_out, FISHER)
    return {
        "value": value,
        "low": number_or_none(bounds.low),
        "high": number_or_none(bounds.high),
        "null_p95": float(np.quantile(null, 0.95)),
        "p_value": float(permutation_p(value, null)),
    }
