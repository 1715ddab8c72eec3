"""Between tables of vectors and the arrays that the mathematics is written in.

Arrays are ``[n, layers, hidden]`` float32; axis 1 runs over the table's layers in ascending order,
0-based, layer ``l`` being the residual stream after block ``l``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from personae.data.tables import from_matrix, to_matrix

FloatArray = NDArray[np.float64]


class Stack(NamedTuple):
    """Vectors of a table by key and layer.

    Attributes
    ----------
    keys
        ``n`` values of the key column, in order of first appearance at the first layer.
    layers
        The ``L`` layers, ascending.
    vectors
        ``[n, L, hidden]`` float32.
    """

    keys: list[str]
    layers: list[int]
    vectors: NDArray[np.float32]

    def select(self, keys: Sequence[str]) -> Stack:
        """Return the same stack with rows in the order of ``keys``, all of which it must hold."""
        place = {key: i for i, key in enumerate(self.keys)}
        return Stack(list(keys), self.layers, self.vectors[[place[key] for key in keys]])


def stack(table: pa.Table, key: str) -> Stack:
    """Arrange a table with columns ``key``, ``layer`` and ``vector`` as `Stack`.

    Raises
    ------
    ValueError
        When a key lacks a layer or has one twice.
    """
    table = table.sort_by([("layer", "ascending"), (key, "ascending")])
    layers = sorted(set(table["layer"].to_pylist()))
    keys = table[key].to_pylist()
    n = len(keys) // len(layers) if layers else 0
    first = keys[:n]
    if n * len(layers) != len(keys) or len(set(first)) != n or keys != first * len(layers):
        raise ValueError(f"vectors by {key} are incomplete: {len(keys)} rows, {len(layers)} layers")
    matrix = to_matrix(table["vector"])
    hidden = matrix.shape[1] if len(keys) else 0
    vectors = matrix.reshape(len(layers), n, hidden).transpose(1, 0, 2)
    return Stack(first, layers, vectors)


def of_span(table: pa.Table, span: str) -> pa.Table:
    """Return the rows of an ``activations`` table that belong to one span."""
    return table.filter(pc.equal(table["span"], span))


def vector_rows(vectors: NDArray[np.floating], layers: Sequence[int]) -> dict[str, pa.Array]:
    """Return the ``layer`` and ``vector`` columns of one ``[L, hidden]`` family of vectors."""
    if len(vectors) != len(layers):
        raise ValueError(f"{len(vectors)} vectors for {len(layers)} layers")
    return {
        "layer": pa.array(layers, pa.int16()),
        "vector": from_matrix(np.asarray(vectors, dtype=np.float32)),
    }
