"""How well a projection tells the default Assistant's rollouts from those of the roles."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from personae.science.projection_tables import projection_matrix
from personae.science.resampling import Bootstrap, permutation_p, permuted_labels
from personae.science.statistics import auc, auc_interval


def separate(table: pa.Table, *, draws: int, permutations: int, seed: int) -> pa.Table:
    """AUC of default over role rollouts per layer, for one direction and one split.

    Parameters
    ----------
    table
        Rows of ``projections`` of one direction and one split, default and roles together.
    draws, permutations, seed
        Bootstrap over questions, and shuffles of the default/role label within questions.

    Returns
    -------
    pa.Table
        One row per layer: an AUC above 0.5 means that the default projects higher.
    """
    direction, split = (table[name][0].as_py() for name in ("direction", "split"))
    ids, values = projection_matrix(table, direction)
    names = ("response_id", "kind", "question_id")
    found = {
        r: (kind, q) for r, kind, q in zip(*(table[n].to_pylist() for n in names), strict=True)
    }
    is_default = np.asarray([found[i][0] == "default" for i in ids])
    questions = np.asarray([found[i][1] for i in ids])
    observed = auc(values[is_default], values[~is_default])
    shuffled = permuted_labels(is_default, permutations, seed, questions)
    null = np.stack([auc(values[labels], values[~labels]) for labels in shuffled])
    plan = Bootstrap(draws, seed)
    bounds = [
        auc_interval(
            column[is_default],
            column[~is_default],
            questions[is_default],
            questions[~is_default],
            plan,
        )
        for column in values.T
    ]
    n = values.shape[1]
    return pa.table(
        {
            "layer": sorted(set(table["layer"].to_pylist())),
            "direction": [direction] * n,
            "split": [split] * n,
            "n_default": [int(is_default.sum())] * n,
            "n_roles": [int((~is_default).sum())] * n,
            "auc": observed,
            "auc_low": [bound.low for bound in bounds],
            "auc_high": [bound.high for bound in bounds],
            "null_p95": np.quantile(null, 0.95, axis=0),
            "p_value": permutation_p(observed, null),
        }
    )
