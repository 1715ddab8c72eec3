"""Sums by cell are the same however rollouts and layers are cut into blocks, and on disk."""

from pathlib import Path

import numpy as np
import pytest

from personae.data import tables
from personae.data.activation_blocks import Block
from personae.science.activation_sums import (
    Cell,
    CellSums,
    question_folds,
    read_sums,
    sums_table,
)

RNG = np.random.default_rng(0)
IDS = [f"r{i}" for i in range(20)]
VECTORS = RNG.normal(size=(20, 3, 8)).astype(np.float32)
CELLS = {key: i % 3 for i, key in enumerate(IDS) if i != 7}  # one rollout is in no cell


def summed(blocks: list[Block], n_cells: int = 3) -> CellSums:
    cells = CellSums(CELLS, n_cells)
    for block in blocks:
        cells.add(block)
    return cells


def test_sums_do_not_depend_on_the_blocks() -> None:
    whole = summed([Block("s", IDS, [0, 1, 2], VECTORS)]).sums()
    by_layer = summed([Block("s", IDS, [n], VECTORS[:, n : n + 1]) for n in (2, 0, 1)]).sums()
    by_rollout = summed([Block("s", [k], [0, 1, 2], VECTORS[i : i + 1]) for i, k in enumerate(IDS)])
    for other in (by_layer, by_rollout.sums()):
        assert other.layers == [0, 1, 2]
        for found, expected in zip(other[1:], whole[1:], strict=True):
            np.testing.assert_allclose(found, expected, rtol=1e-12)
    rows = [i for i in range(20) if i % 3 == 1 and i != 7]
    np.testing.assert_allclose(whole.mean([1]), VECTORS[rows].mean(axis=0, dtype=float), rtol=1e-12)
    lengths = np.linalg.norm(VECTORS[rows].astype(float), axis=-1).sum(axis=0)
    np.testing.assert_allclose(whole.lengths[1], lengths)


def test_float32_activations_are_added_up_in_float64() -> None:
    # In float32 the threes vanish beside 2^28; in float64 they do not.
    ids = [str(i) for i in range(4096)]
    vectors = np.full((4096, 1, 1), 3.0, np.float32)
    vectors[0] = 2.0**28
    cells = CellSums(dict.fromkeys(ids, 0), 1)
    cells.add(Block("s", ids, [0], vectors))
    assert cells.sums().mean([0])[0, 0] == (2.0**28 + 3.0 * 4095) / 4096


def test_a_mean_of_nothing_and_unequal_layers_are_refused() -> None:
    whole = summed([Block("s", IDS, [0, 1, 2], VECTORS)], n_cells=4).sums()
    with pytest.raises(ValueError, match="cannot average 0 of 19 rollouts"):
        whole.mean([3])
    with pytest.raises(ValueError, match="not given the same rollouts"):
        summed(
            [Block("s", IDS, [0], VECTORS[:, :1]), Block("s", IDS[:9], [1], VECTORS[:9, 1:2])]
        ).sums()


def test_sums_come_back_from_disk(tmp_path: Path) -> None:
    sums = summed([Block("s", IDS, [0, 1, 2], VECTORS)]).sums()
    cells = [Cell("somewhat", "extraction", 0), Cell("fully", "extraction", 1), Cell("b", "x", 0)]
    tables.write(sums_table(cells, sums), tmp_path / "sums.parquet", "activation_sums", {})
    found_cells, found = read_sums(str(tmp_path / "sums.parquet"))
    order = [found_cells.index(cell) for cell in cells]
    np.testing.assert_array_equal(found.counts[order], sums.counts)
    np.testing.assert_allclose(found.vectors[order], sums.vectors, rtol=1e-6)
    np.testing.assert_allclose(found.lengths[order], sums.lengths)


def test_few_questions_have_a_fold_each_and_many_share() -> None:
    assert question_folds(["b", "a", "b", "c"], 10) == {"a": 0, "b": 1, "c": 2}
    many = question_folds([f"q{i:03}" for i in range(240)], 10)
    assert sorted(np.bincount(list(many.values()))) == [24] * 10
