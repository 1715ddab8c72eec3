"""Tables of projections: rollouts against the directions of a model."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from personae.data.tables import assemble
from personae.data.vector_stacks import Stack, of_span, stack
from personae.science.projection import project


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
    return assemble(parts, "projections")


def projection_matrix(table: pa.Table, direction: str) -> tuple[list[str], np.ndarray]:
    """Return response ids ``[n]`` and projections ``[n, layers]`` along one direction."""
    chosen = table.filter(pc.equal(table["direction"], direction))
    chosen = chosen.sort_by([("response_id", "ascending"), ("layer", "ascending")])
    layers = len(set(chosen["layer"].to_pylist()))
    ids = chosen["response_id"].to_pylist()[:: max(layers, 1)]
    return ids, chosen["projection"].to_numpy().reshape(len(ids), layers)
