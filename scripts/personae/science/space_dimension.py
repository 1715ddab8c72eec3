"""The dimension of persona space, held against roles that are shuffled (AA, persona space)."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csc_array

from personae.science.jackknife import LOG, delete_many_interval
from personae.science.permutations import permuted_labels
from personae.science.projection import Activations
from personae.science.resampling import Interval, encode

FloatArray = NDArray[np.float64]

_MOST_SHUFFLES: Final = 100
_DRAWS: Final = 200  # of the roles that stay
_DIMENSIONS: Final = 512  # of a block


def components_share(
    activations: Activations,
    rows: NDArray[np.int64],
    roles: NDArray[np.str_],
    questions: NDArray[np.str_],
    *,
    variance: float,
    permutations: int,
    seed: int,
) -> Interval:
    """Components needed for ``variance``, as a share of those that shuffled roles need.

    Roles are shuffled within questions. Data and null are counted alike: role means of the same
    rollouts, of which each role has as many. Components are counted in fractions, so that the share
    changes with the roles.

    Parameters
    ----------
    activations
        ``[n, hidden]`` rollouts of one layer, the default's among them.
    rows
        ``[k]`` which of them are of roles.
    roles, questions
        ``[k]`` role and question of each of these.
    variance
        Share of the variance between role means.
    permutations
        Shuffles, of which 100 are made at most.
    seed
        Of the shuffles and of the draws.

    Returns
    -------
    Interval
        The share of the shuffles' median, with its interval over roles, from draws without a third
        of them; NaN bounds with too few roles.
    """
    codes = encode(roles)
    shuffled = permuted_labels(codes, min(permutations, _MOST_SHUFFLES), seed, questions)
    grams = _centred_grams(activations, rows, np.concatenate([[codes], shuffled]))
    needed = fraction_needed(np.linalg.eigvalsh(grams), variance)
    n = len(grams[0])
    deleted = max(1, n // 3)
    rng = np.random.default_rng(seed)
    without = np.empty(_DRAWS)
    for draw in range(_DRAWS):
        kept = np.sort(rng.permutation(n)[deleted:])
        rest = grams[0][np.ix_(kept, kept)]
        rest = rest - rest.mean(axis=0) - rest.mean(axis=1, keepdims=True) + rest.mean()
        without[draw] = fraction_needed(np.linalg.eigvalsh(rest)[np.newaxis], variance)[0]
    null = np.median(needed[1:])
    return delete_many_interval(float(needed[0] / null), without / null, n, deleted, LOG)


def fraction_needed(eigenvalues: NDArray[np.floating[Any]], variance: float) -> FloatArray:
    """Components that explain ``variance``, a part of the last one counted as its part ``[b]``.

    ``eigenvalues [b, n]`` ascend. NaN where none is positive.
    """
    held = eigenvalues[:, ::-1].clip(0.0)
    total = held.sum(axis=1)
    found = np.full(len(held), np.nan)
    for row in np.flatnonzero(total > 0.0):
        shares = np.concatenate([[0.0], np.cumsum(held[row]) / total[row]])
        found[row] = np.interp(variance, shares, np.arange(len(shares)))
    return found


def _centred_grams(
    activations: Activations, rows: NDArray[np.int64], labels: NDArray[np.int64]
) -> FloatArray:
    """Gram matrices ``[b, groups, groups]`` of groups' means, minus the mean over groups.

    ``labels [b, len(rows)]`` divide the ``rows`` of ``activations [n, hidden]`` into groups, ``b``
    times. Added up over blocks of dimensions, in float64.
    """
    sizes = np.bincount(labels[0])[:, np.newaxis]
    ends, ones = np.arange(len(rows) + 1), np.ones(len(rows))
    members = [csc_array((ones, given, ends), (len(sizes), len(rows))).tocsr() for given in labels]
    grams = np.zeros((len(labels), len(sizes), len(sizes)))
    for start in range(0, activations.shape[1], _DIMENSIONS):
        values = activations[rows, start : start + _DIMENSIONS].astype(np.float64)
        for gram, member in zip(grams, members, strict=True):
            means = (member @ values) / sizes
            means -= means.mean(axis=0)
            gram += means @ means.T
    return grams
