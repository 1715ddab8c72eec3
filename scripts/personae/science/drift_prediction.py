"""Ridge regression from the user's message to the projection of the next turn (AA, drift).

Features are L2-normalised sentence embeddings of user messages, targets the projection on the axis
of the next assistant turn and its change from the turn before. Every prediction is made by a model
that was fitted to other conversations; positive projections are toward the default Assistant.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from personae.science.jackknife import EXPLAINED, jackknife_interval, without_each
from personae.science.permutations import permutation_p
from personae.science.resampling import Interval, encode, ratio

FloatArray = NDArray[np.float64]

# ASSUME: the paper names no penalty; 1 is the usual default for features of length one.
PENALTY: Final = 1.0
FOLDS: Final = 10
"""Folds of conversations; with fewer conversations each is its own fold."""

LEAST_CONVERSATIONS: Final = 4
_REFITTED: Final = 40


class UserTurns(NamedTuple):
    """User messages and what they are to predict, ``n`` rows in order of conversation and turn.

    Attributes
    ----------
    conversations
        ``[n]`` conversation of each message.
    embeddings
        ``[n, size]`` L2-normalised.
    targets
        ``[n]`` projection of the turn that answers it, or its change.
    """

    conversations: Sequence[str]
    embeddings: FloatArray
    targets: FloatArray


class Prediction(NamedTuple):
    """Out-of-fold prediction.

    Attributes
    ----------
    r2
        Share of the variance that is predicted, with an interval over conversations; negative where
        the mean of the other conversations predicts better.
    null_p95, p_value
        Of R2 when whole conversations' messages are dealt out to other conversations.
    predicted
        ``[n]`` predictions.
    """

    r2: Interval
    null_p95: float
    p_value: float
    predicted: FloatArray


def with_changes(turns: UserTurns) -> UserTurns:
    """Return the messages after the first of a conversation, with the change of the projection."""
    codes = encode(turns.conversations)
    later = np.flatnonzero(codes[1:] == codes[:-1]) + 1
    changes = turns.targets[later] - turns.targets[later - 1]
    names = [turns.conversations[i] for i in later.tolist()]
    return UserTurns(names, turns.embeddings[later], changes)


def predict(turns: UserTurns, *, permutations: int, seed: int) -> Prediction:
    """Predict targets from messages, folds by conversation (AA, drift: R2 0.53 to 0.77).

    Raises
    ------
    ValueError
        With fewer than four conversations.
    """
    codes = encode(turns.conversations)
    n_conversations = int(codes.max(initial=-1)) + 1
    if n_conversations < LEAST_CONVERSATIONS:
        raise ValueError(f"{n_conversations} conversations; ridge regression needs 4")
    rng = np.random.default_rng(seed)
    deal = rng.permutation(n_conversations) % min(FOLDS, n_conversations)
    folds = deal[codes]
    kernel = turns.embeddings @ turns.embeddings.T
    predicted, base = _out_of_fold(kernel, turns.targets, folds)
    errors = (turns.targets - predicted) ** 2
    around = (turns.targets - base) ** 2
    r2 = 1.0 - float(errors.sum() / around.sum())
    null = []
    for _ in range(permutations):
        order = _dealt_out(codes, rng.permutation(n_conversations))
        guess, _ = _out_of_fold(kernel[np.ix_(order, order)], turns.targets, folds)
        null.append(1.0 - float(((turns.targets - guess) ** 2).sum() / around.sum()))
    return Prediction(
        jackknife_interval(r2, _without_each(kernel, turns.targets, codes, folds), EXPLAINED),
        float(np.quantile(null, 0.95)),
        float(permutation_p(r2, null)),
        predicted,
    )


def _without_each(
    kernel: FloatArray, targets: FloatArray, codes: NDArray[np.int64], folds: NDArray[np.int64]
) -> FloatArray:
    """R2 without each conversation, ``[conversations]``; the regression is fitted again.

    With more than `_REFITTED` conversations one of them hardly moves the fit, and the predictions
    of all the data are kept.
    """
    left = without_each(codes)
    if len(left.counts) > _REFITTED:
        predicted, base = _out_of_fold(kernel, targets, folds)
        lost, spread = ((targets - v) ** 2 for v in (predicted, base))
        return 1.0 - ratio(left.counts @ left.total(lost), left.counts @ left.total(spread))
    found = []
    for code in range(len(left.counts)):
        kept = codes != code
        predicted, base = _out_of_fold(kernel[np.ix_(kept, kept)], targets[kept], folds[kept])
        errors, around = (float(((targets[kept] - v) ** 2).sum()) for v in (predicted, base))
        found.append(1.0 - errors / around)
    return np.asarray(found)


def _out_of_fold(
    kernel: FloatArray, targets: FloatArray, folds: NDArray[np.int64]
) -> tuple[FloatArray, FloatArray]:
    """Predictions ``[n]`` of ridge regression, and of the training folds' mean.

    The intercept is not penalised: kernel and targets are centred on the training rows.
    """
    predicted, base = np.empty_like(targets), np.empty_like(targets)
    for fold in np.unique(folds):
        test = folds == fold
        inner, across = kernel[np.ix_(~test, ~test)], kernel[np.ix_(test, ~test)]
        column = inner.mean(axis=0)
        centred = inner - column - column[:, np.newaxis] + inner.mean()
        shifted = across - across.mean(axis=1, keepdims=True) - column + inner.mean()
        mean = targets[~test].mean()
        weights = np.linalg.solve(centred + PENALTY * np.eye(len(inner)), targets[~test] - mean)
        predicted[test], base[test] = shifted @ weights + mean, mean
    return predicted, base


def _dealt_out(codes: NDArray[np.int64], order: NDArray[np.int64]) -> NDArray[np.int64]:
    """Rows ``[n]`` whose messages each row gets: those of conversation ``order[code]``, in turn.

    Whole conversations move together, since the turns of one are not independent; a longer one
    starts again with the first message.
    """
    rows = [np.flatnonzero(codes == code) for code in range(len(order))]
    result = np.empty(len(codes), dtype=np.int64)
    for code, own in enumerate(rows):
        result[own] = np.resize(rows[int(order[code])], len(own))
    return result
