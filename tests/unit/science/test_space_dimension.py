"""The dimension of persona space as a share of that of shuffled roles, with its interval."""

from __future__ import annotations

import numpy as np
import pytest

from personae.science.resampling import Interval
from personae.science.space_dimension import components_share, fraction_needed

HIDDEN, ROLES, QUESTIONS = 16, 40, 6


def share_of(spread: float, seed: int) -> Interval:
    """Return the share for roles that vary along one direction by ``spread``, and by chance."""
    rng = np.random.default_rng(seed)
    roles = np.repeat([f"r{i}" for i in range(ROLES)], QUESTIONS)
    questions = np.tile([f"q{i}" for i in range(QUESTIONS)], ROLES)
    means = rng.normal(size=(ROLES * QUESTIONS, HIDDEN))
    means[:, 0] += spread * np.repeat(rng.normal(size=ROLES), QUESTIONS)
    rows = np.arange(len(means))
    return components_share(
        means.astype(np.float32), rows, roles, questions, variance=0.7, permutations=99, seed=0
    )


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_roles_along_one_direction_need_fewer_components_than_shuffled_ones(seed: int) -> None:
    share, low, high = share_of(2.0, seed)
    assert 0.0 <= low < share < high < 0.9
    assert share < 0.6
    share, low, high = share_of(0.0, seed)
    assert low < 1.0 < high
    assert share == pytest.approx(1.0, abs=0.2)


def test_components_are_counted_in_fractions() -> None:
    spectra = np.array([[0.0, 1.0, 1.0, 2.0], [1.0, 1.0, 1.0, 1.0], [0.0, 0.0, 0.0, 0.0]])
    found = fraction_needed(spectra, 0.75)
    assert found[:2] == pytest.approx([2.0, 3.0])
    assert np.isnan(found[2])
    assert fraction_needed(spectra, 0.25)[0] == pytest.approx(0.5)
