"""Vectors as a column: fixed-size binary of ``4 * hidden`` bytes, float32 little-endian."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

_FLOAT: Final = np.dtype("<f4")


def is_vector(kind: pa.DataType) -> bool:
    """Return whether columns of this type hold vectors."""
    return bool(pa.types.is_fixed_size_binary(kind)) and kind.byte_width % _FLOAT.itemsize == 0


def to_matrix(column: pa.ChunkedArray | pa.Array) -> NDArray[np.float32]:
    """Return a column of vectors as an array ``[n, hidden]``, float32.

    Raises
    ------
    ValueError
        When the column is not fixed-size binary of whole float32 numbers, or has a null.
    """
    if not is_vector(column.type):
        raise ValueError(f"column of type {column.type} holds no float32 vectors")
    if column.null_count:
        raise ValueError(f"{column.null_count} of {len(column)} vectors are null")
    width = column.type.byte_width
    chunks = column.chunks if isinstance(column, pa.ChunkedArray) else [column]
    parts = [
        np.frombuffer(chunk.buffers()[1], np.uint8, len(chunk) * width, chunk.offset * width)
        for chunk in chunks
        if len(chunk)
    ]
    flat = np.concatenate(parts) if parts else np.empty(0, np.uint8)
    return flat.view(_FLOAT).reshape(-1, width // _FLOAT.itemsize).astype(np.float32, copy=False)


def from_matrix(matrix: NDArray[np.floating[Any]]) -> pa.FixedSizeBinaryArray:
    """Return an array ``[n, hidden]`` as a column of vectors, float32 little-endian.

    Raises
    ------
    ValueError
        When the array is not two-dimensional, has no columns, or holds a number that is not finite.
    """
    data = np.ascontiguousarray(matrix, dtype=_FLOAT)
    if data.ndim != 2 or data.shape[1] == 0:
        raise ValueError(f"vectors of shape {data.shape}; expected [n, hidden] with hidden > 0")
    if not np.isfinite(data).all():
        row = int(np.argwhere(~np.isfinite(data).all(axis=1))[0, 0])
        raise ValueError(f"vector {row} of {len(data)} holds a number that is not finite")
    kind = pa.binary(data.shape[1] * _FLOAT.itemsize)
    return pa.FixedSizeBinaryArray.from_buffers(kind, len(data), [None, pa.py_buffer(data)])
