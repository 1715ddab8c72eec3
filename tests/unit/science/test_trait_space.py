"""Trait space against the axis: planted traits come back, noise does not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from numpy.typing import NDArray
from scripts.traits import compare_trait_space

from personae.data import tables
from personae.data.activation_blocks import Block
from personae.data.vector_columns import from_matrix
from personae.science.alignment_nulls import isotropic_cosine
from personae.science.projection import unit
from personae.science.space_sums import SpaceSums, read_space_sums, sum_table
from personae.science.trait_filter import Ratings
from personae.science.trait_space_alignment import components, cosine_table, is_space
from personae.science.trait_vectors import TraitContrast, TraitFilter, TraitSide

HIDDEN, LAYER, QUESTIONS, PAIRS = 48, 3, 8, 4
RNG = np.random.default_rng(5)
AXIS = unit(RNG.normal(size=HIDDEN) + 3.0 * np.eye(HIDDEN)[0])
"""It has a share in dimension 0, which has massive activations."""
WANTED = TraitFilter("rows", None, None, 50.0, min_kept=4)
PLANTED = {"patient": 0.9, "precise": 0.5, "plain": 0.0, "theatrical": -0.5, "ethereal": -0.9}


def sums_of(trait: str, effect: float, seed: int, *, low: float = 0.0) -> pa.Table:
    """Return the sums of a trait with this cosine with the axis at `LAYER`, none below it."""
    sides, blocks = [], []
    for polarity, score in ((1.0, 90.0), (-1.0, low)):
        vectors = rollouts(effect, seed, polarity)
        n = len(vectors)
        ratings = Ratings(
            pair=np.arange(n) % PAIRS,
            question=np.asarray([f"q{i // PAIRS}" for i in range(n)]),
            sample=np.zeros(n, dtype=int),
            trait=np.full(n, score),
            coherence=None,
        )
        ids = [f"r{i}" for i in range(n)]
        sides.append(TraitSide(ids, ratings))
        blocks.append(Block("response_mean", ids, [LAYER - 1, LAYER], vectors))
    contrast = TraitContrast.of(trait, sides[0], sides[1], WANTED)
    sinks = contrast.sinks(["response_mean"])
    for sink, block in zip(sinks, blocks, strict=True):
        sink.add(block)
    return sum_table(contrast, sinks, layer=LAYER)


def rollouts(effect: float, seed: int, polarity: float) -> NDArray[np.float32]:
    """Return response means ``[n, 2, hidden]`` of one side of a trait."""
    other = np.random.default_rng(seed).normal(size=HIDDEN)
    other[0] = 0.0
    other = unit(other - (other @ AXIS) * AXIS)
    noise = np.random.default_rng([seed, int(polarity > 0)]).normal(
        size=(PAIRS * QUESTIONS, 2, HIDDEN)
    )
    noise[..., 0] *= 12.0
    noise[:, 1] += 4.0 * polarity * (effect * AXIS + np.sqrt(1 - effect**2) * other)
    return noise.astype("f4")


def noise_traits(n: int) -> SpaceSums:
    """Return traits whose two sides differ by noise alone."""
    rng = np.random.default_rng(103)
    counts = np.full((n, 2, QUESTIONS), float(PAIRS))
    sums = rng.normal(size=(*counts.shape, HIDDEN)) * np.sqrt(PAIRS)
    sums[..., 0] *= 12.0
    return SpaceSums([f"t{i}" for i in range(n)], counts, sums)


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    """Write the sums of the planted traits, and of one that the filter drops."""
    made = {}
    for i, (trait, effect) in enumerate(PLANTED.items()):
        made[trait] = sums_of(trait, effect, i)
    made["weak"] = sums_of("weak", 0.9, 9, low=80.0)
    for trait, table in made.items():
        tables.write(table, tmp_path / f"{trait}.parquet", "trait_sums", {})
    return [str(tmp_path / f"{trait}.parquet") for trait in made]


def test_planted_cosines_come_back_with_sign_and_size(files: list[str]) -> None:
    found = read_space_sums(files, LAYER)
    table = cosine_table(found, AXIS, layer=LAYER, permutations=400, seed=7)
    rows = {row["trait"]: row for row in table.to_pylist()}
    assert set(rows) == set(PLANTED)
    for trait, planted in PLANTED.items():
        row = rows[trait]
        assert row["cosine"] == pytest.approx(planted, abs=0.25)
        assert row["cosine_low"] <= row["cosine"] <= row["cosine_high"]
        assert (row["n_kept"], row["n_folds"]) == (PAIRS * QUESTIONS, QUESTIONS)
    assert rows["patient"]["p_value"] < 0.05
    assert rows["ethereal"]["p_value"] < 0.05
    assert rows["plain"]["p_value"] > 0.05


def test_sums_give_the_vector_of_the_kept_rollouts(files: list[str]) -> None:
    expected = [rollouts(PLANTED["patient"], 0, side)[:, 1].mean(axis=0) for side in (1.0, -1.0)]
    found = read_space_sums(files, LAYER)
    np.testing.assert_allclose(
        found.vectors[found.traits.index("patient")], expected[0] - expected[1], atol=1e-4
    )
    assert read_space_sums(files, LAYER - 1).traits == []


def test_the_null_allows_for_massive_dimensions() -> None:
    found = noise_traits(40)
    table = cosine_table(found, AXIS, layer=LAYER, permutations=400, seed=7).to_pandas()
    beyond_isotropic = (table.cosine.abs() > isotropic_cosine(HIDDEN, 0.95)).mean()
    assert (table.p_value < 0.05).mean() < 0.2
    assert beyond_isotropic > 0.2


def test_the_first_component_is_the_axis_where_traits_spread_along_it() -> None:
    found = noise_traits(40)
    quiet, _ = components(found, AXIS, permutations=100, seed=7)
    assert quiet[0].p_value is not None
    assert quiet[0].p_value > 0.05
    spread = np.linspace(-40.0, 40.0, 40)[:, np.newaxis, np.newaxis] * AXIS
    sums = found.sums.copy()
    sums[:, 0] += PAIRS * spread
    rows, basis = components(found._replace(sums=sums), AXIS, permutations=100, seed=7)
    assert rows[0].cosine.estimate > 0.95
    assert rows[0].cosine.low > 0.9
    assert rows[0].p_value is not None
    assert rows[0].p_value < 0.05
    assert basis[0] @ AXIS > 0.95
    assert sum(row.variance_ratio for row in rows) == pytest.approx(1.0)


def test_traits_with_a_single_question_each_are_no_space() -> None:
    found = noise_traits(5)
    assert is_space(found)
    assert not is_space(found._replace(traits=found.traits[:2], counts=found.counts[:2]))
    single = found.counts.copy()
    single[:, :, 1:] = 0.0
    assert not is_space(found._replace(counts=single))
    single[0, 1, 1] = 1.0
    assert is_space(found._replace(counts=single))


@pytest.mark.parametrize("n_kept", [5, 2])
def test_the_node_writes_three_tables_or_none(
    files: list[str], tmp_path: Path, n_kept: int
) -> None:
    roles = [f"role{i}" for i in range(4)]
    vectors = RNG.normal(size=(4, HIDDEN)).astype("f4")
    columns = {
        "role": roles,
        "kind": ["fully"] * 4,
        "layer": np.full(4, LAYER, "i2"),
        "n": np.full(4, 9, "i4"),
        "n_unscored": np.zeros(4, "i4"),
        "vector": from_matrix(vectors),
    }
    role_vectors = tables.assemble([pa.table(columns)], "role_vectors")
    known = {
        "direction": ["axis"],
        "layer": np.full(1, LAYER, "i2"),
        "vector": from_matrix(AXIS[np.newaxis].astype("f4")),
        **{name: [1.0] for name in ("norm", "residual_norm", "integrity")},
        **{name: [4] for name in ("n_roles", "n_default")},
    }
    directions = tables.assemble([pa.table(known)], "directions")
    tables.write(role_vectors, tmp_path / "roles.parquet", "role_vectors", {})
    tables.write(directions, tmp_path / "directions.parquet", "directions", {})
    names = [f"trait_space_{name}" for name in ("cosines", "components", "plane")]
    compare_trait_space.main(
        sums=files[:n_kept],
        directions=str(tmp_path / "directions.parquet"),
        role_vectors=str(tmp_path / "roles.parquet"),
        paths_out={name: str(tmp_path / f"{name}.parquet") for name in names},
        axis={"permutations": 50, "bootstrap": 50},
        middle_layer=LAYER,
        seed=0,
        provenance={},
    )
    sizes = [tables.read(tmp_path / f"{name}.parquet", name).num_rows for name in names]
    assert sizes == ([5, 4, 9] if n_kept == 5 else [0, 0, 0])
