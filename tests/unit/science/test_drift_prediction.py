"""Ridge regression from user messages: a planted dependence comes back, noise and leaks do not."""

from __future__ import annotations

import numpy as np
import pytest

from personae.science.drift_prediction import UserTurns, predict, with_changes
from personae.science.projection import unit

TALKS, TURNS, SIZE = 24, 6, 12
DIRECTION = unit(np.random.default_rng(0).normal(size=SIZE))
NAMES = [f"talk{i:02d}" for i in range(TALKS) for _ in range(TURNS)]


def talks(effect: float, *, own: float = 0.0, seed: int = 1) -> UserTurns:
    """Return conversations; ``own`` gives each its own level and its own topic."""
    rng = np.random.default_rng(seed)
    topics = np.repeat(rng.normal(size=(TALKS, SIZE)), TURNS, axis=0)
    embeddings = unit(rng.normal(size=(TALKS * TURNS, SIZE)) + own * topics)
    levels = np.repeat(rng.normal(size=TALKS), TURNS)
    targets = effect * (embeddings @ DIRECTION) + own * levels
    return UserTurns(NAMES, embeddings, targets + 0.3 * rng.normal(size=len(NAMES)))


def test_a_planted_dependence_is_predicted() -> None:
    turns = talks(4.0)
    found = predict(turns, permutations=100, seed=1)
    assert 0.6 < found.r2.low <= found.r2.estimate <= found.r2.high < 1.0
    assert found.p_value < 0.05
    assert found.null_p95 < 0.2
    assert np.corrcoef(found.predicted, turns.targets)[0, 1] > 0.8


def test_noise_is_not_predicted() -> None:
    found = predict(talks(0.0), permutations=100, seed=1)
    assert found.r2.estimate < 0.1
    assert found.p_value > 0.05


def test_conversations_that_are_recognised_by_their_topic_do_not_help() -> None:
    """Rows of one conversation in both training and test would give R2 close to 1."""
    found = predict(talks(0.0, own=3.0), permutations=100, seed=1)
    assert found.r2.estimate < 0.1
    assert found.p_value > 0.05


def test_the_intercept_is_not_penalised_and_predictions_follow_the_primal_solution() -> None:
    turns = talks(4.0)
    moved = turns._replace(targets=turns.targets + 1000.0)
    found, shifted = (predict(t, permutations=1, seed=1) for t in (turns, moved))
    assert shifted.predicted - 1000.0 == pytest.approx(found.predicted, abs=1e-6)
    # Of as many folds as conversations, compared with the textbook solution of one of them.
    few = UserTurns(NAMES[:30], turns.embeddings[:30], turns.targets[:30])
    test = np.asarray(few.conversations) == "talk02"
    x, y = few.embeddings[~test], few.targets[~test]
    centred = x - x.mean(axis=0)
    weights = np.linalg.solve(centred.T @ centred + np.eye(SIZE), centred.T @ (y - y.mean()))
    expected = (few.embeddings[test] - x.mean(axis=0)) @ weights + y.mean()
    assert predict(few, permutations=1, seed=1).predicted[test] == pytest.approx(expected)


def test_changes_are_those_within_conversations() -> None:
    turns = UserTurns(["a", "a", "b", "b"], np.eye(4), np.asarray([1.0, 3.0, 10.0, 9.0]))
    changed = with_changes(turns)
    assert changed.targets.tolist() == [2.0, -1.0]
    assert changed.conversations == ["a", "b"]
    assert changed.embeddings.tolist() == np.eye(4)[[1, 3]].tolist()


def test_too_few_conversations_are_refused() -> None:
    turns = UserTurns(NAMES[:12], np.eye(12), np.zeros(12))
    with pytest.raises(ValueError, match="2 conversations; ridge regression needs 4"):
        predict(turns, permutations=1, seed=1)
