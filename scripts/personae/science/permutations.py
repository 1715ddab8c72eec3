"""Permutation tests: shuffled labels, within strata, and the p-values that they give."""

import itertools
from collections.abc import Iterator
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from personae.science.resampling import encode

FloatArray = NDArray[np.float64]
Tail = Literal["greater", "less", "two-sided"]

_SHUFFLED_AT_ONCE: Final = 4_000_000  # labels: 32 MB of random keys
_ENUMERATED_ROWS: Final = 7
_MOST_ORDERS: Final = 5040


def permuted_labels(
    labels: ArrayLike, permutations: int, seed: int, strata: ArrayLike | None = None
) -> NDArray[Any]:
    """Shuffle labels ``[n]``, within strata if given: ``[permutations, n]``.

    Within strata (questions) the shuffle keeps every question's share of each label.
    """
    return np.concatenate(list(permuted_batches(labels, permutations, seed, strata)))


def permuted_batches(
    labels: ArrayLike, permutations: int, seed: int, strata: ArrayLike | None = None
) -> Iterator[NDArray[Any]]:
    """Yield the rows of `permuted_labels` in batches ``[b, n]`` of bounded memory."""
    values = np.asarray(labels)
    codes = np.zeros(len(values), dtype=np.int64) if strata is None else encode(strata)
    places, rng = np.argsort(codes, kind="stable"), np.random.default_rng(seed)
    size = max(1, _SHUFFLED_AT_ONCE // max(len(values), 1))
    for start in range(0, permutations, size):
        keys = codes + rng.random((min(size, permutations - start), len(values)))
        shuffled = np.empty(keys.shape, dtype=values.dtype)
        shuffled[:, places] = values[np.argsort(keys, axis=1)]
        yield shuffled


def exchanged_p(x: FloatArray, y: FloatArray, seed: int) -> float:
    """One-sided p-value of ``sum(x * y)`` with the rows of ``y [n, m]`` exchanged as wholes.

    Exact with up to seven rows, else from `_MOST_ORDERS` orders with the given one among them.
    """
    n = len(x)
    inner = x @ y.T
    if n <= _ENUMERATED_ROWS:
        orders = np.array(list(itertools.permutations(range(n))))
    else:
        rng = np.random.default_rng(seed)
        orders = rng.permuted(np.tile(np.arange(n), (_MOST_ORDERS, 1)), axis=1)
        orders[0] = np.arange(n)
    sums = inner[np.arange(n), orders].sum(axis=1)
    slack = 1e-12 * float(np.abs(inner).sum())
    return float((sums >= float(np.trace(inner)) - slack).mean())


def permutation_p(observed: ArrayLike, null: ArrayLike, tail: Tail = "greater") -> FloatArray:
    """Permutation p-value with the +1 correction (never zero).

    Parameters
    ----------
    observed
        ``[...]`` observed statistic.
    null
        ``[permutations, ...]`` statistics under the null.
    tail
        ``"two-sided"`` compares magnitudes, so it assumes a null that is symmetric about zero.

    Raises
    ------
    ValueError
        When ``null`` is empty or holds NaN: such a draw is neither above nor below.
    """
    value, draws = np.asarray(observed, dtype=np.float64), np.asarray(null, dtype=np.float64)
    if len(draws) == 0 or np.isnan(draws).any():
        raise ValueError(f"null of {len(draws)} permutations is empty or holds NaN")
    if tail == "two-sided":
        value, draws = np.abs(value), np.abs(draws)
    extreme = draws <= value if tail == "less" else draws >= value
    return np.asarray((1.0 + extreme.sum(axis=0)) / (1.0 + len(draws)), dtype=np.float64)


def holm_adjusted(p_values: ArrayLike) -> FloatArray:
    """Holm's adjusted p-values of ``p_values [n]``: below alpha, the family-wise error is alpha."""
    p = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(p, kind="stable")
    scaled = p[order] * np.arange(len(p), 0, -1)
    out = np.empty_like(p)
    out[order] = np.minimum(np.maximum.accumulate(scaled), 1.0)
    return out


def bh_adjusted(p_values: ArrayLike) -> FloatArray:
    """Benjamini-Hochberg adjusted p-values ``[n]``: below q, the false discovery rate is q."""
    p = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(p, kind="stable")
    scaled = p[order] * len(p) / np.arange(1, len(p) + 1)
    out = np.empty_like(p)
    out[order] = np.minimum(np.minimum.accumulate(scaled[::-1])[::-1], 1.0)
    return out
