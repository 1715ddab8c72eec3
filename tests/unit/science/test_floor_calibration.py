"""Floors, their two readings and orientations, and the trade-off table."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from scripts.capping import calibrate_floors

from personae.data import tables
from personae.science.capping_floors import (
    ORIENTATION,
    Pools,
    calibrate_floor,
    floor_table,
    orient_floor,
)

FloatArray = NDArray[np.float64]


@pytest.fixture
def pools() -> Pools:
    """Roles at 0..99, traits at 100..199, default at 150 and 152; layer 1 is ten times layer 0."""
    scale = np.array([1.0, 10.0])
    return Pools(
        roles=np.arange(100.0)[:, None] * scale,
        traits=np.arange(100.0, 200.0)[:, None] * scale,
        default=np.array([150.0, 152.0])[:, None] * scale,
    )


@pytest.mark.parametrize("percentile", [1.0, 25.0, 50.0, 75.0])
def test_ceiling_reading_is_the_floor_of_the_complementary_percentile(
    percentile: float,
) -> None:
    projections = np.random.default_rng(0).standard_normal((137, 4))
    np.testing.assert_allclose(
        calibrate_floor(projections, percentile, "ceiling"),
        calibrate_floor(projections, 100.0 - percentile, "floor"),
        atol=1e-12,
    )


def test_floor_reading_leaves_the_stated_share_below(pools: Pools) -> None:
    floors = calibrate_floor(pools.roles, 25.0, "floor")
    assert (pools.roles < floors).mean(axis=0).tolist() == [0.25, 0.25]


@pytest.mark.parametrize("percentile", [-1.0, 100.5, np.nan])
def test_percentile_out_of_range_is_refused(percentile: float) -> None:
    with pytest.raises(ValueError, match=f"percentile {percentile} is outside 0-100"):
        calibrate_floor(np.ones((3, 1)), percentile, "floor")


def test_floor_table_states_pool_orientation_and_where_the_default_lies(pools: Pools) -> None:
    rows = floor_table(
        pools,
        names=["roles_and_traits", "roles", "default"],
        percentiles=[25.0, 75.0],
        readings=["floor", "ceiling"],
    )
    assert len(rows) == 3 * 2 * 2 * 2
    assert {row.orientation for row in rows} == {ORIENTATION}
    found = {(row.pool, row.reading, row.percentile, row.layer): row for row in rows}
    row = found["roles", "floor", 25.0, 1]
    assert (row.floor, row.n, row.default_mean) == (247.5, 100, 1510.0)
    assert (row.default_quantile, row.default_below, row.roles_below) == (1.0, 0.0, 0.25)
    assert found["roles", "ceiling", 75.0, 1].floor == row.floor
    # The default lies at 150 and 152, its mean 151 ties with one trait rollout and itself splits.
    both = found["roles_and_traits", "floor", 25.0, 0]
    assert both.n == 202
    assert both.default_quantile == pytest.approx((152 + 153) / 2 / 202)
    assert found["default", "floor", 25.0, 0].default_quantile == 0.5


def test_empty_pool_is_refused(pools: Pools) -> None:
    empty = pools._replace(roles=np.empty((0, 2)))
    with pytest.raises(ValueError, match="'roles' holds no rollouts"):
        empty.pool("roles", 0)


def clamp(h: FloatArray, v: FloatArray, threshold: float, *, above: bool) -> FloatArray:
    """Clamp <h, v/|v|> from above or below, as the paper and its reference code write it."""
    u = v / np.linalg.norm(v)
    excess = h @ u - threshold
    clipped = np.maximum(excess, 0.0) if above else np.minimum(excess, 0.0)
    return np.asarray(h - clipped[:, np.newaxis] * u)


def test_ceiling_away_from_the_assistant_equals_its_oriented_floor() -> None:
    rng = np.random.default_rng(0)
    states, away = rng.standard_normal((50, 8)), 3.0 * rng.standard_normal(8)
    turned = orient_floor(away, 0.3, "away_from_assistant")
    assert turned.floor == -0.3
    np.testing.assert_allclose(
        clamp(states, away, 0.3, above=True),
        clamp(states, turned.direction, turned.floor, above=False),
    )
    kept = orient_floor(-away, -0.3, "toward_assistant")
    np.testing.assert_allclose(kept.direction, turned.direction)
    assert kept.floor == turned.floor


def test_capping_at_the_calibrated_floor_raises_exactly_the_share_below() -> None:
    rng = np.random.default_rng(1)
    states, axis = rng.standard_normal((200, 8)), rng.standard_normal(8)
    u = axis / np.linalg.norm(axis)
    floor = float(calibrate_floor((states @ u)[:, np.newaxis], 75.0, "floor")[0])
    capped = clamp(states, axis, floor, above=False)
    moved = np.abs(capped - states).max(axis=1) > 0
    assert moved.mean() == 0.75
    assert (capped @ u).min() == pytest.approx(floor)


def projections(folder: Path, subject: str, kind: str, values: list[float], heldout: float) -> str:
    """Write projections along the axis at layers 0 and 1, the second ten times the first."""
    rows = [
        {
            "subject": subject,
            "kind": kind,
            "response_id": f"{subject}-{i}",
            "question_id": "q",
            "split": "heldout" if i == len(values) else "extraction",
            "direction": "axis",
            "layer": layer,
            "projection": value * 10**layer,
        }
        for i, value in enumerate([*values, heldout])
        for layer in (0, 1)
    ]
    path = folder / f"{subject}.parquet"
    tables.write(tables.from_rows(rows, "projections"), path, "projections", {})
    return str(path)


def test_the_pool_of_all_rollouts_is_roles_trait_space_and_default_on_extraction_questions(
    tmp_path: Path,
) -> None:
    files = [
        projections(tmp_path, "pirate", "role", [0.0, 1.0, 2.0], -99.0),
        projections(tmp_path, "warm", "trait", [3.0, 4.0], 99.0),
        projections(tmp_path, "default", "default", [5.0], 99.0),
    ]
    path = str(tmp_path / "floors.parquet")
    names = ["roles_and_traits", "roles"]
    calibrate_floors.main(
        projections=files, path_out=path, pools=names, readings=["ceiling"], percentiles=[20.0],
        provenance={},
    )  # fmt: skip
    rows = tables.read(path, "floors").to_pylist()
    assert [(r["pool"], r["layer"], r["n"]) for r in rows] == [
        ("roles_and_traits", 0, 6), ("roles_and_traits", 1, 6), ("roles", 0, 3), ("roles", 1, 3),
    ]  # fmt: skip
    # The 20th percentile away from the Assistant is the 80th of 0, 1, ... 5 along the axis.
    assert [r["floor"] for r in rows[:2]] == pytest.approx([4.0, 40.0])
    assert [r["default_mean"] for r in rows[:2]] == [5.0, 50.0]
