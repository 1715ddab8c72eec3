"""Projections, their units and turn profiles."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from scripts.roles import project_role_responses

from personae.data import tables
from personae.data.table_values import DEFAULT
from personae.science.projection import cosine, project, turn_profile, unit

from .planted import PLAN


def test_projection_is_in_units_of_the_unit_direction() -> None:
    activations = np.array([[[3.0, 4.0], [1.0, 1.0]]], dtype=np.float32)
    direction = np.array([[10.0, 0.0], [0.0, -0.5]])
    np.testing.assert_allclose(project(activations, direction), [[3.0, -1.0]])


def test_projection_of_float32_is_accumulated_in_float64() -> None:
    rng = np.random.default_rng(0)
    activations = (1e4 + rng.standard_normal((5, 2, 4096))).astype(np.float32)
    direction = rng.standard_normal((2, 4096))
    expected = np.einsum("nlh,lh->nl", activations.astype(np.float64), unit(direction))
    np.testing.assert_allclose(project(activations, direction), expected, rtol=1e-12)


def test_mismatched_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match=r"\(2, 3, 4\) do not match direction \(3, 5\)"):
        project(np.ones((2, 3, 4)), np.ones((3, 5)))


@pytest.mark.parametrize("bad", [0.0, np.nan, np.inf])
def test_vector_without_a_direction_is_refused(bad: float) -> None:
    vectors = np.ones((2, 3))
    vectors[1] = bad
    with pytest.raises(ValueError, match=r"vector \[1\] .* no direction"):
        unit(vectors)


def test_cosine_broadcasts_over_leading_axes() -> None:
    rows = np.array([[[1.0, 0.0]], [[-2.0, 0.0]], [[0.0, 3.0]]])
    np.testing.assert_allclose(cosine(rows, np.array([[5.0, 0.0]])), [[1.0], [-1.0], [0.0]])


def test_turn_profile_follows_the_planted_drift_and_drops_thin_turns() -> None:
    rng = np.random.default_rng(1)
    turns = np.concatenate([np.arange(4), *[np.arange(3)] * 19])
    conversations = np.concatenate([np.zeros(4, int), np.repeat(np.arange(1, 20), 3)])
    projections = 5.0 - 2.0 * turns + 0.1 * rng.standard_normal(len(turns))
    profile = turn_profile(projections, turns, conversations, PLAN, min_samples=10)
    assert profile.dropped == [3]
    assert [(point.turn, point.n) for point in profile.points] == [(0, 20), (1, 20), (2, 20)]
    for point in profile.points:
        assert point.projection.low < 5.0 - 2.0 * point.turn < point.projection.high
        assert point.projection.high - point.projection.low < 0.2


def write_persona(folder: Path, name: str, mean: float) -> tuple[str, str]:
    """Write one rollout of a persona whose activation is ``mean`` in every dimension."""
    answers, means = folder / f"{name}-responses.parquet", folder / f"{name}-activations.parquet"
    row = {
        "response_id": name, "question_id": "q", "split": "extraction", "role": name,
        "prompt_ids": [1], "response_ids": [2],
    }  # fmt: skip
    tables.write(tables.from_rows([row], "role_responses"), answers, "role_responses", {})
    vectors = tables.from_matrix(np.full((1, 4), mean, np.float32))
    columns = {"response_id": [name], "span": ["response_mean"], "layer": pa.array([3], pa.int16()),
               "n_tokens": pa.array([2], pa.int32()), "vector": vectors}  # fmt: skip
    activations = tables.assemble([pa.table(columns)], "activations")
    tables.write(activations, means, "activations", {})
    return str(answers), str(means)


def test_a_part_of_the_roles_is_projected_into_one_table(tmp_path: Path) -> None:
    columns = {
        **{name: [1.0] for name in ("norm", "residual_norm", "integrity")},
        **dict.fromkeys(("n_roles", "n_default"), pa.array([1], pa.int32())),
        "direction": ["axis"],
        "layer": pa.array([3], pa.int16()),
        "vector": tables.from_matrix(np.array([[0.0, 5.0, 0.0, 0.0]], np.float32)),
    }
    directions = tables.assemble([pa.table(columns)], "directions")
    tables.write(directions, tmp_path / "directions.parquet", "directions", {})
    files = [write_persona(tmp_path, "pirate", -2.0), write_persona(tmp_path, DEFAULT, 7.0)]
    project_role_responses.main(
        roles=["pirate", DEFAULT],
        responses=[answers for answers, _ in files],
        activations=[means for _, means in files],
        directions=str(tmp_path / "directions.parquet"),
        path_out=str(tmp_path / "projections.parquet"),
        engine=None,
        provenance={},
    )
    found = tables.read(tmp_path / "projections.parquet", "projections").to_pylist()
    assert [(row["subject"], row["kind"], row["projection"]) for row in found] == [
        ("pirate", "role", -2.0),
        (DEFAULT, "default", 7.0),
    ]
