"""The trait space in one node: vectors of the kept pairs, projections of all rollouts."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from scripts.traits import compute_space_vectors

from personae.data import tables
from personae.science.space_vectors import load_space_vectors
from personae.tools.bench.scale_tables import ScaleShape, draw_trait_side, draw_vectors

SHAPE = ScaleShape(layers=2, hidden=8, prompts=2, extraction=6, heldout=0)


@pytest.fixture
def part(tmp_path: Path) -> tuple[str, str]:
    """Run the node on two traits, of which the instructions of one have no effect."""
    levels = {"warm": (90.0, 10.0), "cold": (50.0, 40.0)}
    sides = [
        draw_trait_side(tmp_path, SHAPE, 2 * i + j, level=level)
        for i, pair in enumerate(levels.values())
        for j, level in enumerate(pair)
    ]
    axis = draw_vectors(tmp_path / "default.parquet", "default", SHAPE, 9)
    vectors = tables.read(axis, "role_vectors")
    numbers = {name: [1.0] * 2 for name in ("norm", "residual_norm", "integrity")}
    counts = {name: [1] * 2 for name in ("n_roles", "n_default")}
    columns = {**numbers, **counts, "direction": ["axis"] * 2, "layer": vectors["layer"]}
    table = tables.assemble([pa.table({**columns, "vector": vectors["vector"]})], "directions")
    tables.write(table, tmp_path / "directions.parquet", "directions", {})
    paths = str(tmp_path / "vectors.parquet"), str(tmp_path / "projections.parquet")
    compute_space_vectors.main(
        traits=list(levels),
        **{name: [side[name] for side in sides] for name in sides[0]},
        directions=str(tmp_path / "directions.parquet"),
        path_vectors=paths[0],
        path_projections=paths[1],
        path_sums=str(tmp_path / "sums.parquet"),
        effective={
            "pairing": "rows", "min_trait": None, "min_coherence": None,
            "min_difference": 50, "min_kept": 10,
        },
        middle_layer=1,
        max_unscored=0.0,
        seed=0,
        engine=None,
        provenance={},
    )  # fmt: skip
    return paths


def test_a_trait_with_enough_pairs_has_a_vector_at_all_layers(part: tuple[str, str]) -> None:
    found = load_space_vectors([part[0]])
    assert found.keys == ["warm"]
    assert found.layers == [0, 1]
    assert found.vectors.shape == (1, 2, 8)
    table = tables.read(part[0], "trait_vectors")
    assert set(table["variant"].to_pylist()) == {"response_mean"}
    assert set(table["n_cells"].to_pylist()) == {12}
    assert np.isfinite(table["split_half"].to_numpy()).all()


def test_rollouts_of_dropped_traits_are_projected_too(part: tuple[str, str]) -> None:
    rows = tables.read(part[1], "projections").to_pylist()
    assert {(row["subject"], row["kind"], row["split"]) for row in rows} == {
        ("warm", "trait", "extraction"),
        ("cold", "trait", "extraction"),
    }
    assert len(rows) == 2 * 2 * 12 * 2  # traits, sides, rollouts, layers
