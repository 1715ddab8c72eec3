"""Sums of rollouts' activations by cell, at every layer, from which means follow exactly.

A cell is what the rollouts of a persona have in common: how fully the role was played, the split
and fold of the question, whether a filter keeps them. Sums are accumulated in float64, block by
block, so that no node holds all rollouts. Layer ``l`` is the residual stream after block ``l``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple, Protocol

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from personae.data import tables
from personae.data.activation_blocks import Block
from personae.data.row_conditions import Conditions
from personae.data.vector_columns import from_matrix, to_matrix

FloatArray = NDArray[np.float64]


class Cell(NamedTuple):
    """A cell of a role's rollouts: kind of role vector, split, and fold of the question."""

    kind: str
    split: str
    fold: int


class Sums(NamedTuple):
    """What a sum over rollouts needs to become a mean.

    Attributes
    ----------
    layers
        The ``L`` layers, ascending.
    counts
        ``[cells]`` rollouts of each cell.
    vectors
        ``[cells, L, hidden]`` float64 sums.
    lengths
        ``[cells, L]`` sums of the lengths of the activations.
    """

    layers: list[int]
    counts: FloatArray
    vectors: FloatArray
    lengths: FloatArray

    @property
    def mean_length(self) -> FloatArray:
        """Mean length ``[L]`` of the activations of all rollouts."""
        return np.asarray(self.lengths.sum(axis=0) / self.counts.sum())

    def mean(self, cells: Sequence[int] | NDArray[np.integer]) -> FloatArray:
        """Mean activation over the rollouts of some cells: ``[L, hidden]``.

        Raises
        ------
        ValueError
            When there is no rollout in them.
        """
        chosen = np.asarray(cells, dtype=np.int64)
        if not (n := self.counts[chosen].sum()):
            raise ValueError(f"cannot average 0 of {self.counts.sum():.0f} rollouts")
        return np.asarray(self.vectors[chosen].sum(axis=0) / n)


class Sink(Protocol):
    """Something that is fed with blocks."""

    def add(self, block: Block) -> None:
        """Take what is wanted of a block."""


def through(blocks: Iterable[Block], *sinks: Sink) -> Iterator[Block]:
    """Yield blocks on after feeding each of them to ``sinks``."""
    for block in blocks:
        for sink in sinks:
            sink.add(block)
        yield block


class CellSums:
    """Adds rollouts up by cell; those without a cell are left out.

    Parameters
    ----------
    cells
        Rollout to the number of its cell.
    n_cells
        Number of cells; some may stay empty.
    """

    def __init__(self, cells: Mapping[str, int], n_cells: int) -> None:
        self._cells, self._n = cells, n_cells
        self._vectors: dict[int, FloatArray] = {}
        self._lengths: dict[int, FloatArray] = {}
        self._counts: dict[int, FloatArray] = {}

    def add(self, block: Block) -> None:
        """Add the rollouts of a block at its layers."""
        codes = np.asarray([self._cells.get(key, -1) for key in block.ids], dtype=np.int64)
        rows = np.flatnonzero(codes >= 0)
        member = (np.arange(self._n)[:, np.newaxis] == codes[rows]).astype(np.float64)
        for place, layer in enumerate(block.layers):
            data = block.vectors[rows, place].astype(np.float64)
            lengths = np.sqrt(np.einsum("nh,nh->n", data, data))
            for kept, more in (
                (self._vectors, member @ data),
                (self._lengths, member @ lengths),
                (self._counts, member.sum(axis=1)),
            ):
                kept[layer] = more if layer not in kept else kept[layer] + more

    def sums(self) -> Sums:
        """Return what was added up.

        Raises
        ------
        ValueError
            When nothing was added, or some layers got other rollouts than others.
        """
        layers = sorted(self._vectors)
        if not layers:
            raise ValueError("cannot average 0 of 0 rollouts")
        counts = self._counts[layers[0]]
        if any((self._counts[layer] != counts).any() for layer in layers):
            raise ValueError(f"layers {layers} were not given the same rollouts")
        vectors = np.stack([self._vectors[layer] for layer in layers], axis=1)
        return Sums(layers, counts, vectors, np.stack([self._lengths[n] for n in layers], axis=1))


def question_folds(questions: Iterable[str], most: int) -> dict[str, int]:
    """Deal distinct questions out to ``most`` folds at most, in turn by name."""
    return {question: i % most for i, question in enumerate(sorted(set(questions)))}


def sums_table(cells: Sequence[Cell], sums: Sums) -> pa.Table:
    """Return sums as the columns of ``activation_sums``; empty cells have no rows."""
    n_layers = len(sums.layers)
    parts = []
    for i, n in enumerate(sums.counts):
        if not n:
            continue
        columns = {
            "kind": [cells[i].kind] * n_layers,
            "split": [cells[i].split] * n_layers,
            "fold": [cells[i].fold] * n_layers,
            "layer": sums.layers,
            "n": [int(n)] * n_layers,
            "length": sums.lengths[i] / n,
            "vector": from_matrix((sums.vectors[i] / n).astype(np.float32)),
        }
        parts.append(pa.table(columns))
    return tables.assemble(parts, "activation_sums")


def read_sums(path: str, conditions: Conditions | None = None) -> tuple[list[Cell], Sums]:
    """Return the cells of a table of ``activation_sums`` that meet conditions, and their sums."""
    table = tables.read(path, "activation_sums", filters=conditions).sort_by(
        [(name, "ascending") for name in ("kind", "split", "fold", "layer")]
    )
    layers = np.unique(table["layer"].to_numpy()).tolist()
    firsts = table.take(np.arange(0, table.num_rows, max(1, len(layers))))
    cells = [Cell(row["kind"], row["split"], row["fold"]) for row in firsts.to_pylist()]
    shape = (len(cells), len(layers))
    counts = table["n"].to_numpy().reshape(shape).astype(np.float64)
    vectors = to_matrix(table["vector"]).reshape(*shape, -1).astype(np.float64)
    lengths = table["length"].to_numpy().reshape(shape)
    return cells, Sums(layers, counts[:, 0], vectors * counts[:, :, np.newaxis], lengths * counts)
