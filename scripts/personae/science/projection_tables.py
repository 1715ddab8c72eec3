"""Tables of projections: rollouts against the directions of a model."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from personae.data import tables
from personae.data.vector_stacks import Stack, of_span, stack
from personae.science.projection import FloatArray, project

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


def project_rollouts(
    rollouts: pa.Table,
    activations: pa.Table,
    directions: pa.Table,
    *,
    subject: str,
    kind: str,
) -> pa.Table:
    """Project response means on every direction at every layer.

    Parameters
    ----------
    rollouts
        Columns ``response_id``, ``question_id`` and ``split``; one without an activation (an
        empty response) has no projection.
    subject, kind
        Role or trait, and ``"role"``, ``"default"`` or ``"trait"``.

    Returns
    -------
    pa.Table
        Columns of ``projections``, in units of ``<h, u>``.
    """
    means = stack(of_span(activations, "response_mean"), "response_id")
    known = {row["response_id"]: row for row in rollouts.to_pylist()}
    n_layers = len(means.layers)

    def repeated(column: str) -> np.ndarray:
        return np.repeat([known[key][column] for key in means.keys], n_layers)

    axes = direction_stack(directions)
    parts = []
    for name, vectors in zip(axes.keys, axes.vectors, strict=True):
        values = project(means.vectors, vectors)
        columns = {
            "subject": np.repeat([subject], values.size),
            "kind": np.repeat([kind], values.size),
            "response_id": repeated("response_id"),
            "question_id": repeated("question_id"),
            "split": repeated("split"),
            "direction": np.repeat([name], values.size),
            "layer": np.tile(np.asarray(means.layers, dtype=np.int16), len(means.keys)),
            "projection": values.reshape(-1),
        }
        parts.append(pa.table({key: pa.array(value) for key, value in columns.items()}))
    return tables.assemble(parts, "projections")


def project_files(
    subjects: Sequence[tuple[str, str]],
    responses: Iterable[pa.Table],
    activations: Sequence[str],
    directions: str,
) -> pa.Table:
    """Project the rollouts of several personas on every direction at every layer.

    Parameters
    ----------
    subjects
        Name of a role or trait and its kind, as in `project_rollouts`, for every file.
    responses
        Rollouts as in `project_rollouts`, read one by one.
    activations
        Files of ``activations``, in the same order.
    directions
        File of the directions.

    Returns
    -------
    pa.Table
        Columns of ``projections``, in units of ``<h, u>``.
    """
    vectors = tables.read(directions, "directions")
    projected = [
        project_rollouts(
            rollouts, tables.read(path, "activations"), vectors, subject=subject, kind=kind
        )
        for (subject, kind), rollouts, path in zip(subjects, responses, activations, strict=True)
    ]
    return tables.assemble(projected, "projections")


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


def gather_projections(
    paths: Sequence[str], splits: Sequence[str] = ("extraction", "heldout")
) -> dict[tuple[str, str], Projected]:
    """Read tables of ``projections`` one by one into arrays, by direction and split.

    Only arrays of ``n`` and ``[n, L]`` are held, never the tables together.

    Raises
    ------
    ValueError
        When a rollout lacks a layer or files differ in their layers.
    """
    parts: dict[tuple[str, str], list[Projected]] = {}
    for path in paths:
        table = tables.read(path, "projections", columns=_GATHERED)
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
    table = table.sort_by([("response_id", "ascending"), ("layer", "ascending")])
    layers = np.unique(table["layer"].to_numpy())
    wide = table.num_rows % len(layers) == 0
    if not wide or (table["layer"].to_numpy().reshape(-1, len(layers)) != layers).any():
        raise ValueError(f"projections: {table.num_rows} rows do not fill {len(layers)} layers")
    firsts = table.take(np.arange(0, table.num_rows, len(layers)))
    ids, kinds, questions = (
        firsts[name].to_numpy(zero_copy_only=False)
        for name in ("response_id", "kind", "question_id")
    )
    values = table["projection"].to_numpy().reshape(-1, len(layers))
    return Projected(ids, kinds, questions, layers.tolist(), values)


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
