"""The dimension of persona space as a share of that of shuffled roles, with its interval."""

from __future__ import annotations

import numpy as np
import pytest

from personae.science.space_layers import (
    LayerNull,
    SpaceSettings,
    _dimension_null,
    _fraction_needed,
)

HIDDEN, ROLES, QUESTIONS = 16, 40, 6


def rollouts(spread: float, seed: int) -> LayerNull:
    """Roles that vary along one direction by ``spread``, and by chance."""
    rng = np.random.default_rng(seed)
    roles = np.repeat([f"r{i}" for i in range(ROLES)], QUESTIONS)
    questions = np.tile([f"q{i}" for i in range(QUESTIONS)], ROLES)
    means = rng.normal(size=(ROLES * QUESTIONS, HIDDEN))
    means[:, 0] += spread * np.repeat(rng.normal(size=ROLES), QUESTIONS)
    return LayerNull(means[:, np.newaxis].astype(np.float32), np.empty((0, 0)), roles, questions)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_roles_along_one_direction_need_fewer_components_than_shuffled_ones(seed: int) -> None:
    settings = SpaceSettings(0.7, 99, 0)
    share, low, high = _dimension_null(rollouts(2.0, seed), settings)
    assert 0.0 <= low < share < high < 0.9
    assert share < 0.6
    share, low, high = _dimension_null(rollouts(0.0, seed), settings)
    assert low < 1.0 < high
    assert share == pytest.approx(1.0, abs=0.2)


def test_components_are_counted_in_fractions() -> None:
    spectra = np.array([[0.0, 1.0, 1.0, 2.0], [1.0, 1.0, 1.0, 1.0], [0.0, 0.0, 0.0, 0.0]])
    found = _fraction_needed(spectra, 0.75)
    assert found[:2] == pytest.approx([2.0, 3.0])
    assert np.isnan(found[2])
    assert _fraction_needed(spectra, 0.25)[0] == pytest.approx(0.5)
