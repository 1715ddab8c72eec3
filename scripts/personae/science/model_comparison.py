"""Comparison of two models' persona spaces over the roles that both have (AA, persona space).

Hidden sizes differ between models, so that vectors cannot be compared, but two kinds of numbers
about roles can: the loadings of roles on components, and the cosines between roles.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from personae.science.jackknife import FISHER, jackknife_interval
from personae.science.permutations import permutation_p
from personae.science.resampling import Interval
from personae.science.statistics import pearson

FloatArray = NDArray[np.float64]


class MatchedComponent(NamedTuple):
    """A component of one model and the component of the other that orders roles most similarly.

    Attributes
    ----------
    component, matched
        Components of the first and of the second model, from 0.
    correlation
        |Pearson r| over roles with an interval over roles: the sign of a component is arbitrary.
    null_p95, p_value
        Of the largest |r| over the second model's components when its roles are shuffled, so that
        the choice of the component is allowed for.
    n_roles
        Roles of both models.
    """

    component: int
    matched: int
    correlation: Interval
    null_p95: float
    p_value: float
    n_roles: int


def matched_components(
    left: pd.DataFrame,
    right: pd.DataFrame,
    *,
    n_components: int,
    permutations: int,
    seed: int,
) -> list[MatchedComponent]:
    """Match each leading component of one model with one of another by its role loadings.

    Parameters
    ----------
    left, right
        Loadings with roles as rows and components as columns; only common roles are used.
    n_components
        Leading components of both models that are compared.
    permutations, seed
        Shuffles of the second model's roles. The interval is the jackknife over roles, for which
        the match of the data is kept.
    """
    roles = left.index.intersection(right.index)
    a, b = (
        _standardised(frame.loc[roles].to_numpy(dtype=np.float64)[:, :n_components])
        for frame in (left, right)
    )
    found = np.abs(a.T @ b)
    rng, n = np.random.default_rng(seed), len(roles)
    null = np.stack([np.abs(a.T @ b[rng.permutation(n)]).max(axis=1) for _ in range(permutations)])
    without = [np.delete(np.arange(n), i) for i in range(n)]
    results = []
    for i, row in enumerate(found):
        j = int(row.argmax())
        left_out = [abs(pearson(a[some, i], b[some, j])) for some in without]
        results.append(
            MatchedComponent(
                i,
                j,
                jackknife_interval(float(row[j]), left_out, FISHER),
                float(np.quantile(null[:, i], 0.95)),
                float(permutation_p(row[j], null[:, i])),
                n,
            )
        )
    return results


def _standardised(loadings: FloatArray) -> FloatArray:
    """Centre the columns and scale them to length one; a constant column becomes zero."""
    centred = loadings - loadings.mean(axis=0)
    lengths = np.linalg.norm(centred, axis=0)
    return np.asarray(centred / np.where(lengths > 0.0, lengths, 1.0))
