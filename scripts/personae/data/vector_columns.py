"""Vectors as a column of fixed-size binary, little-endian.

``4 * hidden`` bytes of float32; or, where many are kept and their rounding is stated,
``2 * hidden`` bytes of float16 beside a scale by which each vector is divided.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

VECTOR: Final = pa.binary()
"""Stands for a fixed-size binary of any multiple of four bytes in a declared schema: float32."""

HALF_VECTOR: Final = pa.large_binary()
"""Stands for one of any multiple of two bytes: float16, to be multiplied by a scale."""

_FLOAT: Final = np.dtype("<f4")
_HALF: Final = np.dtype("<f2")
_LARGEST: Final = 2.0**15
"""What the largest number of a vector becomes in float16, which ends at 65,504."""


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
    return _flat(column, _FLOAT).astype(np.float32, copy=False)


def _flat(column: pa.ChunkedArray | pa.Array, kind: np.dtype[Any]) -> NDArray[Any]:
    """Return the bytes of a column without nulls as numbers of a type: ``[n, hidden]``."""
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
    return flat.view(kind).reshape(-1, width // kind.itemsize)


def from_matrix(matrix: NDArray[np.floating[Any]]) -> pa.FixedSizeBinaryArray:
    """Return an array ``[n, hidden]`` as a column of vectors, float32 little-endian.

    Raises
    ------
    ValueError
        When the array is not two-dimensional, has no columns, or holds a number that is not finite.
    """
    return _column(np.ascontiguousarray(matrix, dtype=_FLOAT))


def is_half_vector(kind: pa.DataType) -> bool:
    """Return whether columns of this type hold vectors of float16."""
    return bool(pa.types.is_fixed_size_binary(kind)) and kind.byte_width % _HALF.itemsize == 0


def to_half(matrix: NDArray[np.floating[Any]]) -> dict[str, pa.Array]:
    """Return vectors ``[n, hidden]`` as the columns ``vector`` (float16) and ``scale`` (float32).

    ``scale * vector`` is the vector again, each number to a relative 2^-11 (0.05 %) or to 2^-40 of
    the vector's largest: massive activations neither overflow nor cost the others their digits.
    """
    data = np.asarray(matrix, dtype=np.float32)
    largest = np.abs(data).max(axis=-1, initial=0.0)
    scale = np.where(largest > 0.0, largest / np.float32(_LARGEST), np.float32(1.0))
    scaled = np.ascontiguousarray(data / scale[:, np.newaxis], dtype=_HALF)
    return {"scale": pa.array(scale.astype(np.float32)), "vector": _column(scaled)}


def from_half(table: pa.Table) -> NDArray[np.float32]:
    """Return the vectors that `to_half` made, float32 ``[n, hidden]``."""
    if not is_half_vector(kind := table["vector"].type):
        raise ValueError(f"column of type {kind} holds no float16 vectors")
    scale = table["scale"].to_numpy().astype(np.float32, copy=False)
    vectors: NDArray[np.float32] = _flat(table["vector"], _HALF).astype(np.float32)
    vectors *= scale[:, np.newaxis]
    return vectors


def _column(data: NDArray[np.floating[Any]]) -> pa.FixedSizeBinaryArray:
    if data.ndim != 2 or data.shape[1] == 0:
        raise ValueError(f"vectors of shape {data.shape}; expected [n, hidden] with hidden > 0")
    if not np.isfinite(data).all():
        row = int(np.argwhere(~np.isfinite(data).all(axis=1))[0, 0])
        raise ValueError(f"vector {row} of {len(data)} holds a number that is not finite")
    kind = pa.binary(data.shape[1] * data.itemsize)
    return pa.FixedSizeBinaryArray.from_buffers(kind, len(data), [None, pa.py_buffer(data)])
