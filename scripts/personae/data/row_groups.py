"""Row groups of tables that are read by layer: sorted, so that one layer is read without others."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np
import pyarrow as pa

BY_LAYER: Final = frozenset(
    {
        "activations",
        "drift_projections",
        "kept_activations",
        "monitoring_points",
        "projections",
        "prompt_projections",
        "role_vectors",
    }
)
"""Kinds of table that are sorted by layer as they are written."""

_LEAST_ROWS: Final = 500


def row_groups(table: pa.Table, schema_name: str) -> list[tuple[int, int]]:
    """Return the first and last layer of each row group in which a table is to be written.

    A group holds whole layers, as few as make 500 rows: 1,500 rollouts get one group a layer. A
    table that is not read by layer is one group, written as it is: the list is then empty.
    """
    if schema_name not in BY_LAYER or table.num_rows <= _LEAST_ROWS:
        return []
    layers, counts = np.unique(table["layer"].to_numpy(), return_counts=True)
    groups: list[tuple[int, int]] = []
    begun, rows = None, 0
    for layer, count in zip(layers.tolist(), counts.tolist(), strict=True):
        begun, rows = layer if begun is None else begun, rows + count
        if rows >= _LEAST_ROWS:
            groups.append((begun, layer))
            begun, rows = None, 0
    return groups if begun is None else [*groups, (begun, int(layers[-1]))]


def parts_by_layer(table: pa.Table, groups: list[tuple[int, int]]) -> Iterator[pa.Table]:
    """Yield the rows of each group, sorted by layer and otherwise in the table's order."""
    layers = table["layer"].to_numpy()
    for first, last in groups:
        part = table.filter(pa.array((layers >= first) & (layers <= last)))
        if first != last:
            part = part.take(np.argsort(part["layer"].to_numpy(), kind="stable"))
        yield part
