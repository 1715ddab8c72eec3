"""The robustness tests' comparison of tables: last bits may differ, nothing else may."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from personae.data.vector_columns import from_matrix, to_half

from ...torture.alike import difference

VECTORS = np.random.default_rng(0).normal(size=(3, 8)).astype(np.float32)


def written(path: Path, **changed: object) -> Path:
    """Write a table of three rows, with some columns changed."""
    columns = {
        "id": ["a", "b", "c"],
        "n": [1, 2, 3],
        "value": [0.5, None, -70.0],
        "undefined": [np.nan, 1.0, np.nan],
        "each": [[1.0, 2.0], [3.0], []],
        "full": from_matrix(VECTORS),
        **to_half(VECTORS),
    }
    pq.write_table(pa.table(columns | changed), path)
    return path


@pytest.mark.parametrize(
    ("changed", "same"),
    [
        ({}, True),
        ({"value": [0.5 + 1e-7, None, -70.0]}, True),
        ({"value": [0.5, None, -70.1]}, False),
        ({"value": [0.5, 1.0, -70.0]}, False),
        ({"undefined": [np.nan, 1.0, 2.0]}, False),
        ({"undefined": [np.nan, np.nan, np.nan]}, False),
        ({"n": [1, 2, 4]}, False),
        ({"id": ["a", "b", "d"]}, False),
        ({"each": [[1.0, 2.0 + 1e-6], [3.0], []]}, True),
        ({"each": [[1.0, 2.0], [3.0], [0.0]]}, False),
        ({"full": from_matrix(VECTORS * np.float32(1 + 1e-6))}, True),
        ({"full": from_matrix(VECTORS[::-1])}, False),
        (to_half(VECTORS * np.float32(1 + 1e-6)), True),
        (to_half(VECTORS[::-1]), False),
    ],
)
def test_only_last_bits_may_differ(tmp_path: Path, changed: dict[str, object], same: bool) -> None:
    one, other = written(tmp_path / "a.parquet"), written(tmp_path / "b.parquet", **changed)
    assert (not difference(one, other)) is same


def test_a_row_more_is_another_table(tmp_path: Path) -> None:
    one = written(tmp_path / "a.parquet")
    pq.write_table(pq.read_table(one).slice(0, 2), tmp_path / "b.parquet")
    assert difference(one, tmp_path / "b.parquet") == "3 rows instead of 2"


def test_the_first_difference_is_named(tmp_path: Path) -> None:
    one = written(tmp_path / "a.parquet")
    other = written(tmp_path / "b.parquet", value=[0.5, None, -70.1])
    assert difference(one, other) == "value of row 2: -70.0 instead of -70.1"
