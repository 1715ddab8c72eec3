"""Similarity within a group: planted groups are found, and items are the units."""

from __future__ import annotations

import numpy as np
import pytest

from personae.science.group_contrast import group_contrast


def planted(effect: float, seed: int, n: int = 9, k: int = 4) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    group = np.arange(n) < k
    vectors = rng.normal(size=(n, 40)) + effect * group[:, np.newaxis] * rng.normal(size=40)
    units = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return units @ units.T, group


def test_a_planted_group_is_found_exactly() -> None:
    similarity, group = planted(2.0, 0)
    found = group_contrast(similarity, group, 0)
    inside = similarity[:4, :4][np.triu_indices(4, 1)].mean()
    assert found.interval.estimate == pytest.approx(inside - similarity[:4, 4:].mean())
    assert found.p_greater == pytest.approx(1 / 126)  # groups of 4 among 9
    assert found.clusters == 4
    assert found.interval.low > 0


def test_without_a_group_p_is_uniform_and_few_intervals_exclude_zero() -> None:
    found = [group_contrast(*planted(0.0, seed), 0) for seed in range(60)]
    assert 0.35 < np.mean([f.p_greater for f in found]) < 0.65
    assert sum(f.p_greater <= 0.05 for f in found) <= 7
    assert sum(f.interval.low > 0 for f in found) <= 5
