"""Tables of projections: rollouts against the directions of a model."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from personae.data import tables
from personae.data.activation_blocks import Block
from personae.data.vector_stacks import Stack, stack
from personae.science.projection import FloatArray, unit

_GATHERED: Final = (
    "kind",
    "response_id",
    "question_id",
    "split",
    "direction",
    "layer",
    "projection",
)


def direction_stack(directions: pa.Table) -> Stack:
    """Return the directions by name: ``axis`` toward the Assistant, ``random<i>`` by chance."""
    return stack(directions, "direction")


class Asked(NamedTuple):
    """Rollouts of one subject, ``[n]`` each: id, question and its split."""

    response_ids: list[str]
    questions: list[str]
    splits: list[str]

    @classmethod
    def of(cls, rollouts: pa.Table) -> Self:
        """Take columns ``response_id``, ``question_id`` and ``split``; of traits, all are
        extraction questions: their vectors and floors come from no others.
        """
        n, held = rollouts.num_rows, "split" in rollouts.column_names
        splits = rollouts["split"].to_pylist() if held else ["extraction"] * n
        return cls(rollouts["response_id"].to_pylist(), rollouts["question_id"].to_pylist(), splits)


def project_blocks(
    asked: Asked, blocks: Iterable[Block], directions: Stack, *, subject: str, kind: str
) -> pa.Table:
    """Project response means on every direction at every layer.

    Parameters
    ----------
    asked
        The rollouts; one without an activation (an empty response) has no projection.
    blocks
        Their activations.
    directions
        By name, at every layer.
    subject, kind
        Role or trait, and ``"role"``, ``"default"`` or ``"trait"``.

    Returns
    -------
    pa.Table
        Columns of ``projections``, in units of ``<h, u>``.
    """
    row_of = {key: row for row, key in enumerate(asked.response_ids)}
    place_of = {layer: place for place, layer in enumerate(directions.layers)}
    values = np.full((len(directions.keys), len(place_of), len(row_of)), np.nan)
    units = unit(directions.vectors)
    for block in blocks:
        rows = [row_of[key] for key in block.ids]
        for i, layer in enumerate(block.layers):
            place = place_of[layer]
            values[:, place, rows] = units[:, place] @ block.vectors[:, i].astype(np.float64).T
    answered = np.flatnonzero(~np.isnan(values[0, 0])) if len(values) else np.empty(0, int)
    return _projection_rows(asked, answered, values[:, :, answered], directions, subject, kind)


def _projection_rows(
    asked: Asked, rows: NDArray[np.int64], values: FloatArray, of: Stack, subject: str, kind: str
) -> pa.Table:
    """Arrange ``values [directions, layers, rows]`` by layer. Columns of ``projections``."""
    n_directions, n_layers, n = values.shape
    size = n_directions * n_layers * n
    # By layer, then direction, then rollout: strings are repeated by Arrow, not by Python.
    rollout = pa.array(np.tile(rows, n_layers * n_directions))
    direction = pa.array(np.tile(np.repeat(np.arange(n_directions), n), n_layers))
    columns = {
        "subject": pa.repeat(pa.scalar(subject), size),
        "kind": pa.repeat(pa.scalar(kind), size),
        "response_id": pa.array(asked.response_ids, pa.string()).take(rollout),
        "question_id": pa.array(asked.questions, pa.string()).take(rollout),
        "split": pa.array(asked.splits, pa.string()).take(rollout),
        "direction": pa.array(of.keys, pa.string()).take(direction),
        "layer": np.repeat(np.asarray(of.layers, dtype=np.int16), n_directions * n),
        "projection": values.transpose(1, 0, 2).reshape(-1),
    }
    return tables.assemble([pa.table(columns)], "projections")


class Projected(NamedTuple):
    """Projections of rollouts along one direction, sorted by response.

    Attributes
    ----------
    response_ids, kinds, questions
        ``[n]`` id, kind (``"role"``, ``"default"`` or ``"trait"``) and question of each rollout.
    layers
        The ``L`` layers, ascending; layer ``l`` is the residual stream after block ``l``.
    values
        ``[n, L]`` float64, ``<h, u>`` with ``u`` of unit length: larger is further along the
        direction (along ``axis``: toward the default Assistant).
    """

    response_ids: NDArray[np.object_]
    kinds: NDArray[np.object_]
    questions: NDArray[np.object_]
    layers: list[int]
    values: FloatArray

    def of_kind(self, kind: str) -> FloatArray:
        """Projections ``[n, L]`` of the rollouts of one kind; there may be none."""
        return np.asarray(self.values[self.kinds == kind])


def layer_blocks(path: str, size: int) -> Iterator[tuple[int, int]]:
    """Yield the first and last of ``size`` consecutive layers each of a table of projections."""
    layers = np.unique(tables.read(path, "projections", ["layer"])["layer"].to_numpy()).tolist()
    for start in range(0, len(layers), size):
        block = layers[start : start + size]
        yield block[0], block[-1]


def gather_projections(
    paths: Sequence[str],
    splits: Sequence[str] = ("extraction", "heldout"),
    layers: tuple[int, int] | None = None,
) -> dict[tuple[str, str], Projected]:
    """Read tables of ``projections`` one by one into arrays, by direction and split.

    Only arrays of ``n`` and ``[n, L]`` are held, never the tables together. ``layers`` are the
    first and last layer to read; by default all are.

    Raises
    ------
    ValueError
        When a rollout lacks a layer or files differ in their layers.
    """
    parts: dict[tuple[str, str], list[Projected]] = {}
    within = None if layers is None else [("layer", ">=", layers[0]), ("layer", "<=", layers[1])]
    for path in paths:
        table = tables.read(path, "projections", columns=_GATHERED, filters=within)
        for direction in pc.unique(table["direction"]).to_pylist():
            along = table.filter(pc.equal(table["direction"], direction))
            for split in splits:
                chosen = along.filter(pc.equal(along["split"], split))
                if chosen.num_rows:
                    parts.setdefault((direction, split), []).append(projected_rollouts(chosen))
    return {key: _joined(found) for key, found in parts.items()}


def projected_rollouts(table: pa.Table) -> Projected:
    """Arrange rows of ``projections`` of one direction, in any order, as `Projected`.

    Raises
    ------
    ValueError
        When a rollout lacks a layer or has one twice.
    """
    layers, places = np.unique(table["layer"].to_numpy(), return_inverse=True)
    ids, rows = _coded(table["response_id"])
    order = np.argsort(np.argsort(np.argsort(ids))[rows] * len(layers) + places, kind="stable")
    table = table.take(order)
    wide = table.num_rows % len(layers) == 0
    if not wide or (table["layer"].to_numpy().reshape(-1, len(layers)) != layers).any():
        raise ValueError(f"projections: {table.num_rows} rows do not fill {len(layers)} layers")
    firsts = table.take(np.arange(0, table.num_rows, len(layers)))
    repeated = (_coded(firsts[name]) for name in ("response_id", "kind", "question_id"))
    ids, kinds, questions = (values[codes] for values, codes in repeated)
    values = table["projection"].to_numpy().reshape(-1, len(layers))
    return Projected(ids, kinds, questions, layers.tolist(), values)


def _coded(column: pa.ChunkedArray) -> tuple[NDArray[np.object_], NDArray[np.int64]]:
    """Return the distinct strings of a column, and the place among them of every row."""
    coded = column.combine_chunks().dictionary_encode()
    values = np.asarray(coded.dictionary.to_pylist(), dtype=object)
    return values, coded.indices.to_numpy().astype(np.int64)


def _joined(parts: Sequence[Projected]) -> Projected:
    layers = parts[0].layers
    for part in parts:
        if part.layers != layers:
            raise ValueError(f"projections at layers {part.layers} beside {layers}")
    ids = np.concatenate([part.response_ids for part in parts])
    order = np.argsort(ids, kind="stable")
    kinds, questions, values = (
        np.concatenate(arrays)[order]
        for arrays in zip(*((p.kinds, p.questions, p.values) for p in parts), strict=True)
    )
    return Projected(ids[order], kinds, questions, layers, values)
