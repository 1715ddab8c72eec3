"""Activations of rollouts in blocks: some rollouts at some layers, as many as fit into memory.

A table of activations is sorted by layer and gives blocks of all rollouts at some layers; the model
reads rollout by rollout and gives blocks of some rollouts at all layers. What is computed from
blocks must not depend on how they are cut.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from personae.data import tables
from personae.data.vector_stacks import stack

BLOCK_BYTES: Final = 2**28
"""Bytes of float32 vectors in a block, about; a node holds a few times as much."""


class Block(NamedTuple):
    """Means over one span of some rollouts at some layers.

    Attributes
    ----------
    span
        The span, such as ``response_mean``.
    ids
        ``n`` rollouts.
    layers
        Ascending; layer ``l`` is the residual stream after decoder block ``l``.
    vectors
        ``[n, len(layers), hidden]`` float32.
    """

    span: str
    ids: list[str]
    layers: list[int]
    vectors: NDArray[np.float32]


def ids_of(path: str, span: str) -> list[str]:
    """Return the rollouts of a table of ``activations`` that have a span."""
    table = tables.read(path, "activations", ["response_id"], [("span", "==", span)])
    return list(pc.unique(table["response_id"]).to_pylist())


def read_blocks(path: str, ids: Sequence[str], spans: Sequence[str]) -> Iterator[Block]:
    """Yield blocks of all of ``ids`` at some layers, from a table of ``activations``."""
    if not ids:
        return
    layers = np.unique(tables.read(path, "activations", ["layer"])["layer"].to_numpy()).tolist()
    size = 1  # one layer is read to learn its bytes
    while layers:
        block, layers = layers[:size], layers[size:]
        rows = tables.read(
            path,
            "activations",
            ["response_id", "span", "layer", "vector"],
            [("layer", ">=", block[0]), ("layer", "<=", block[-1])],
        )
        for span in spans:
            found = stack(rows.filter(pc.equal(rows["span"], span)), "response_id").select(ids)
            yield Block(span, found.keys, found.layers, found.vectors)
        size = max(1, BLOCK_BYTES * len(block) // max(1, rows["vector"].nbytes))


def table_blocks(table: pa.Table, ids: Sequence[str], spans: Sequence[str]) -> Iterator[Block]:
    """Yield a table of ``activations`` in memory, a block for every span."""
    for span in spans:
        found = stack(table.filter(pc.equal(table["span"], span)), "response_id").select(ids)
        yield Block(span, found.keys, found.layers, found.vectors)
