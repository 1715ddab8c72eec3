"""The axis of one layer, from role vectors as saved."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from personae.base.errors import PersonaeError
from personae.data import tables
from personae.data.vector_stacks import Stack, stack
from personae.science.vectors import assistant_axis, check_axis


class AxisAtLayer(NamedTuple):
    """The axis ``[1, hidden]`` at one layer, its integrity ``[1]``, and the roles it is made of."""

    axis: np.ndarray
    integrity: np.ndarray
    n_roles: int


def axis_at_layer(path: str, layer: int) -> AxisAtLayer:
    """Compute the axis at a layer from a table ``role_vectors`` (AA, Assistant Axis).

    Raises
    ------
    PersonaeError
        If fewer than two roles have a fully-role vector.
    """
    saved = tables.read(path, "role_vectors", filters=[("layer", "==", layer)])
    roles, assistant = _of_kind(saved, "fully"), _of_kind(saved, "default")
    if len(roles.keys) < 2:
        raise PersonaeError(
            f"{path}: {len(roles.keys)} roles have a fully-role vector, at least 2 "
            "are needed for an axis; lower roles.min_fully or generate more rollouts"
        )
    default = assistant.vectors[0].astype(np.float64)
    axis = assistant_axis(default, roles.vectors)
    integrity = check_axis(axis.astype(np.float32), default, roles.vectors, first_layer=layer)
    return AxisAtLayer(axis, integrity, len(roles.keys))


def _of_kind(table: pa.Table, kind: str) -> Stack:
    """Return the role vectors of one kind."""
    return stack(table.filter(pc.equal(table["kind"], kind)), "role")
