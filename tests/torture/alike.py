"""Whether two tables hold the same rows, up to what other batches of a model change."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from personae.data.vector_columns import is_vector

_RELATIVE: Final = 1e-5
_HALF: Final = 2e-3
"""Of vectors in 16 bits: two steps of their last bit."""


def difference(made: Path, wanted: Path) -> str:
    """Name what differs between two tables beyond the last bits of numbers; empty if nothing does.

    The rows that a killed node left to be computed form other batches than all of them, and the
    sums of a matrix product depend on the batch.
    """
    one, other = (pq.read_table(path) for path in (made, wanted))
    if not one.schema.equals(other.schema):
        return "other columns"
    if len(one) != len(other):
        return f"{len(one)} rows instead of {len(other)}"
    halves = {"vector"} if "scale" in one.schema.names else set()
    for name in one.schema.names:
        row = _first_apart(one[name], other[name], is_half=name in halves)
        if row is not None:
            found, expected = (str(table[name][row])[:40] for table in (one, other))
            return f"{name} of row {row}: {found} instead of {expected}"
    return ""


def _first_apart(one: pa.ChunkedArray, other: pa.ChunkedArray, *, is_half: bool) -> int | None:
    """Return the first row in which two columns differ by more than last bits."""
    if one.equals(other):
        return None
    inner = one.type.value_type if pa.types.is_list(one.type) else one.type
    has_last_bits = is_vector(one.type) or is_half or pa.types.is_floating(inner)
    kind, tolerance = ("<f2", _HALF) if is_half else ("<f4", _RELATIVE)
    for row, values in enumerate(zip(one.to_pylist(), other.to_pylist(), strict=True)):
        if values[0] == values[1]:
            continue
        if None in values or not has_last_bits:
            return row
        a, b = (
            np.frombuffer(value, kind).astype(np.float64)
            if isinstance(value, bytes)
            else np.asarray(value, dtype=np.float64)
            for value in values
        )
        if a.shape != b.shape:
            return row
        largest = max(1.0, np.abs(np.nan_to_num(b)).max(initial=0.0))
        if not np.allclose(a, b, rtol=0.0, atol=tolerance * largest, equal_nan=True):
            return row
    return None
