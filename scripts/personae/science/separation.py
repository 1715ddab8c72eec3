"""How well a projection separates the default Assistant's rollouts from those of the roles."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from personae.science.permutations import permutation_p, permuted_batches
from personae.science.projection_tables import Projected
from personae.science.resampling import encode
from personae.science.statistics import auc_interval, auc_of_ranks, column_ranks


def separate(
    found: Projected, direction: str, split: str, *, permutations: int, seed: int
) -> pa.Table:
    """AUC of default over role rollouts at every layer, along one direction (AA, axis).

    Parameters
    ----------
    found
        Projections of default and role rollouts along ``direction`` on the questions of ``split``,
        ``[n, layers]``; larger is further along the direction.
    direction, split
        Written to the table.
    permutations, seed
        Shuffles of the default/role label within questions; intervals are over questions.

    Returns
    -------
    pa.Table
        Columns of ``separation``, one row per layer; an AUC above 0.5 means that the default
        projects higher.

    Raises
    ------
    ValueError
        When there is no rollout of the default, or none of a role.
    """
    is_default, values = found.kinds == "default", found.values
    n, m = int(is_default.sum()), int((~is_default).sum())
    if n == 0 or m == 0:
        raise ValueError(f"AUC along {direction!r} of {n} default and {m} role rollouts")
    questions = encode(found.questions.astype(str))
    ranks = column_ranks(values)
    shuffles = permuted_batches(is_default, permutations, seed, questions)
    sums = np.concatenate([labels.astype(np.float64) @ ranks for labels in shuffles])
    observed, null = auc_of_ranks(ranks[is_default].sum(axis=0), n, m), auc_of_ranks(sums, n, m)
    groups = questions[is_default], questions[~is_default]
    bounds = [auc_interval(c[is_default], c[~is_default], *groups) for c in values.T]
    n_layers = len(found.layers)
    return pa.table(
        {
            "layer": found.layers,
            "direction": [direction] * n_layers,
            "split": [split] * n_layers,
            "n_default": [n] * n_layers,
            "n_roles": [m] * n_layers,
            "n_questions": [len(np.unique(questions))] * n_layers,
            "auc": observed,
            "auc_low": [bound.low for bound in bounds],
            "auc_high": [bound.high for bound in bounds],
            "null_p95": np.quantile(null, 0.95, axis=0),
            "p_value": permutation_p(observed, null),
        }
    )
