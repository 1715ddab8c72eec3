"""Vectors of the trait space, gathered from the parts in which they are computed."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa

from personae.data import tables
from personae.data.vector_stacks import Stack, stack


def load_space_vectors(paths: Sequence[str]) -> Stack:
    """Return the vectors of all traits of the trait space that have one, at all layers.

    Parameters
    ----------
    paths
        Tables of ``trait_vectors``, one for every part of the trait space. Each trait has one
        variant, that of the response mean.

    Returns
    -------
    Stack
        Traits by name with ``[n, L, hidden]`` float32, pointing toward the trait; a trait that the
        filter dropped is not among them.
    """
    columns = ["trait", "layer", "vector"]
    parts = [tables.read(path, "trait_vectors", columns) for path in paths]
    filled = [part for part in parts if part.num_rows]  # an empty part does not know the width
    return stack(pa.concat_tables(filled or parts), "trait")
