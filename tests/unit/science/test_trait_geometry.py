"""Cosines of traits against contrasts of roles, with planted anisotropy."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from personae.science.projection import unit
from personae.science.trait_geometry import (
    contrast_bound,
    coordinates_of,
    pair_rows,
    position_rows,
    random_contrasts,
    trait_groups,
)

HIDDEN = 64


def roles(n: int = 24, spread: float = 8.0) -> NDArray[np.float64]:
    """Return role vectors that vary most along the first three dimensions."""
    scale = np.ones(HIDDEN)
    scale[:3] = spread
    return np.random.default_rng(0).normal(size=(n, HIDDEN)) * scale + 5.0


def test_the_null_is_wider_where_the_stream_is_anisotropic() -> None:
    """Two random directions of 64 dimensions have |cos| below 0.25; contrasts here do not."""
    traits = {name: np.random.default_rng(i).normal(size=HIDDEN) for i, name in enumerate("ab")}
    bounds = {}
    for spread in (1.0, 8.0):
        contrasts = random_contrasts(roles(200, spread), 400, 1)
        (row,) = pair_rows(traits, contrasts, 4)
        bounds[spread] = row["null_p95"]
    assert bounds[1.0] < 0.3
    assert bounds[8.0] > 0.6


def test_contrasts_are_unit_and_leave_out_what_roles_share() -> None:
    contrasts = random_contrasts(roles(), 50, 1)
    assert np.linalg.norm(contrasts, axis=1) == pytest.approx(1.0)
    shared = np.ones(HIDDEN) / np.sqrt(HIDDEN)
    without = random_contrasts(roles() + 1000 * shared, 50, 1)
    assert without == pytest.approx(contrasts, abs=1e-6)


def test_alike_traits_are_beyond_the_null_and_in_one_group() -> None:
    rng = np.random.default_rng(3)
    common = rng.normal(size=HIDDEN)
    traits = {
        "evil": common + 0.1 * rng.normal(size=HIDDEN),
        "impolite": common + 0.1 * rng.normal(size=HIDDEN),
        "formal": rng.normal(size=HIDDEN),
    }
    contrasts = random_contrasts(roles(spread=2.0), 400, 1)
    found = {(r["left"], r["right"]): r for r in pair_rows(traits, contrasts, 4)}
    assert found["evil", "impolite"]["cosine"] > found["evil", "impolite"]["null_p95"]
    assert found["evil", "impolite"]["p_value"] < 0.01
    assert found["evil", "formal"]["p_value"] > 0.05
    groups = trait_groups(traits, contrasts)
    assert groups["evil"] == groups["impolite"] != groups["formal"]


def test_positions_against_axis_and_role_space() -> None:
    made = roles(6)
    inside = made[0] - made[1]
    axis = -np.eye(HIDDEN)[0]
    traits = {"inside": inside, "away": np.eye(HIDDEN)[0]}
    contrasts = random_contrasts(made, 400, 1)
    found = {r["trait"]: r for r in position_rows(traits, axis, made, contrasts, 4)}
    assert found["inside"]["role_share"] == pytest.approx(1.0)
    assert found["inside"]["chance_share"] == pytest.approx(5 / HIDDEN)
    assert found["away"]["axis_cosine"] == pytest.approx(-1.0)
    assert 0 < found["away"]["axis_null_p95"] < 1


def test_too_few_roles_are_refused() -> None:
    with pytest.raises(ValueError, match="3 role vectors cannot be divided"):
        random_contrasts(roles(3), 10, 1)


def test_a_bound_from_cosines_is_that_from_vectors() -> None:
    vectors = unit(roles())
    family = np.concatenate([vectors[:1], vectors])  # the direction is one of the roles
    placed = coordinates_of(family @ family.T)
    assert placed @ placed.T == pytest.approx(family @ family.T, abs=1e-6)
    bound = contrast_bound(placed[1:], placed[0])
    assert bound == pytest.approx(contrast_bound(vectors, vectors[0]), abs=1e-6)
    assert 0 < bound < 1
    assert np.isnan(contrast_bound(placed[1:4], placed[0]))
