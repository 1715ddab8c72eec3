"""Whether the axis holds for roles that it was not made of: leave one role out.

The axis points toward the default Assistant. A role whose own vector is among those that the axis
is the difference to is separated from the default partly by construction; here the axis that judges
a role is computed without it (AA, Assistant Axis).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from personae.science.jackknife import crossed_jackknife_interval
from personae.science.permutations import permutation_p, permuted_batches
from personae.science.projection import cosine, unit
from personae.science.resampling import Interval
from personae.science.statistics import (
    auc,
    auc_interval,
    auc_of_ranks,
    auc_without_each,
    column_ranks,
)

FloatArray = NDArray[np.float64]
Record = dict[str, Any]

EVERY_ROLE: Final = "*"
"""Role of the row about all roles together."""


class AskedRollouts(NamedTuple):
    """Response means ``[n, hidden]`` at one layer, and the question ``[n]`` of each."""

    means: NDArray[np.float32]
    questions: NDArray[np.str_]


class RoleResult(NamedTuple):
    """The row of one role, and its AUC otherwise.

    Attributes
    ----------
    row
        Of ``heldout_roles`` but for ``layer``.
    without
        AUC without each question.
    null
        AUC under shuffled labels ``[permutations]``.
    by_chance
        AUC along random directions ``[r]``.
    """

    row: Record
    without: dict[str, float]
    null: FloatArray
    by_chance: FloatArray


def axis_without(default: FloatArray, fully: Mapping[str, FloatArray], role: str) -> FloatArray:
    """Return the axis ``[hidden]`` of all fully-role vectors but that of ``role``.

    Parameters
    ----------
    default
        ``[hidden]`` mean of the default Assistant.
    fully
        Role to its fully-role vector ``[hidden]``; a role without one changes nothing.

    Raises
    ------
    ValueError
        When no other role has a vector.
    """
    others = [vector for name, vector in fully.items() if name != role]
    if not others:
        raise ValueError(f"no role but {role!r} has a fully-role vector: no axis is left")
    return np.asarray(default - np.mean(others, axis=0, dtype=np.float64), dtype=np.float64)


def heldout_role(
    role: str,
    default: FloatArray,
    fully: Mapping[str, FloatArray],
    rollouts: tuple[AskedRollouts, AskedRollouts],
    random: FloatArray,
    *,
    permutations: int,
    seed: int,
) -> RoleResult:
    """Separate the default from one role along the axis computed without that role.

    Parameters
    ----------
    role, default, fully
        As `axis_without` takes them.
    rollouts
        Of the default and of the role, on held-out questions.
    random
        ``[r, hidden]`` random directions; their AUC is the mean over them, each in its better sign.
    permutations, seed
        Shuffles of the labels within questions; intervals are over questions.

    Returns
    -------
    RoleResult
        Row of ``heldout_roles`` but for ``layer``. An AUC above 0.5 means that the default projects
        higher; ``auc_with`` is that of the axis of all roles; ``cosine`` is between both axes.
    """
    ours, theirs = rollouts
    direction = axis_without(default, fully, role)
    everything = np.asarray(default - np.mean(list(fully.values()), axis=0), dtype=np.float64)
    means = np.concatenate([ours.means, theirs.means]).astype(np.float64)
    is_default = np.arange(len(means)) < len(ours.means)
    values = means @ unit(direction)
    questions = np.concatenate([ours.questions, theirs.questions])
    ranks = column_ranks(values[:, np.newaxis])
    shuffles = permuted_batches(is_default, permutations, seed, questions)
    sums = np.concatenate([labels.astype(np.float64) @ ranks for labels in shuffles])[:, 0]
    null = auc_of_ranks(sums, len(ours.means), len(theirs.means))
    sides = values[is_default], values[~is_default], ours.questions, theirs.questions
    found = auc_interval(*sides)
    by_chance = (
        auc(means[is_default] @ random.T, means[~is_default] @ random.T)
        if len(random)
        else np.empty(0)
    )
    with_role = auc(means[is_default] @ everything, means[~is_default] @ everything)
    row = {
        "role": role,
        "in_axis": role in fully,
        "cosine": float(cosine(direction, everything)),
        "n_role": len(theirs.means),
        "n_default": len(ours.means),
        "auc": found.estimate,
        "auc_low": found.low,
        "auc_high": found.high,
        "auc_with": float(with_role),
        "auc_random": _better_sign(by_chance),
        "null_p95": float(np.quantile(null, 0.95)),
        "p_value": float(permutation_p(np.asarray([found.estimate]), null[:, np.newaxis])[0]),
    }
    without = dict(
        zip(np.unique(questions).tolist(), auc_without_each(*sides).tolist(), strict=True)
    )
    return RoleResult(row, without, null, by_chance)


def _better_sign(aucs: FloatArray) -> float | None:
    """Mean AUC along random directions ``[r]``, each in its better sign."""
    return float(np.maximum(aucs, 1.0 - aucs).mean()) if len(aucs) else None


def _mean_over(results: list[RoleResult]) -> Interval:
    """Mean AUC over roles; all roles are held against the default's responses to some questions.

    The interval is the jackknife over roles and over questions. Most roles are separated perfectly
    and a few are not, so that their spread says too little where none of the few was drawn: one
    more role, with an AUC of 0.5, takes part in it.
    """
    values = np.asarray([*(result.row["auc"] for result in results), 0.5])
    asked = sorted(set.intersection(*(set(result.without) for result in results)))
    aucs = [[result.without[question] for question in asked] for result in results]
    without = np.asarray([*aucs, [0.5] * len(asked)])
    n, mean = len(values), float(values[:-1].mean())
    found = crossed_jackknife_interval(
        float(values.mean()),
        (values.sum() - values) / (n - 1),
        without.mean(axis=0),
        (values.sum() - values[:, np.newaxis] + without) / n,
    )
    return Interval(mean, max(min(found.low, mean), 0.0), min(max(found.high, mean), 1.0))


def over_roles(results: list[RoleResult]) -> Record:
    """Return the row of all roles together: mean AUC with an interval over roles and questions.

    The null is the mean over roles under shuffled labels; ``p_random`` is the share of random
    directions that separate the default from all roles as well, in their better sign for all roles
    together. ``n_role`` counts roles.

    # ASSUME: every role weighs the same, however many responses it has.
    """
    rows = [result.row for result in results]
    mean = _mean_over(results)
    null = np.mean([result.null for result in results], axis=0)
    random = np.mean([result.by_chance for result in results], axis=0)
    random = np.maximum(random, 1.0 - random)
    return {
        "role": EVERY_ROLE,
        "in_axis": all(row["in_axis"] for row in rows),
        "cosine": float(np.mean([row["cosine"] for row in rows])),
        "n_role": len(rows),
        "n_default": rows[0]["n_default"],
        "auc": mean.estimate,
        "auc_low": mean.low,
        "auc_high": mean.high,
        "auc_with": float(np.mean([row["auc_with"] for row in rows])),
        "auc_random": float(random.mean()) if len(random) else None,
        "p_random": float(permutation_p(mean.estimate, random)) if len(random) else None,
        "null_p95": float(np.quantile(null, 0.95)),
        "p_value": float(permutation_p(np.asarray([mean.estimate]), null[:, np.newaxis])[0]),
    }
