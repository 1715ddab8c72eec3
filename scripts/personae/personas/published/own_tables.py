"""Published vectors in the workflow's own tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from personae.data import tables
from personae.data.schemas import SCHEMAS
from personae.data.table_values import DEFAULT
from personae.data.vector_stacks import vector_rows
from personae.personas.published.capping_files import PublishedCap
from personae.personas.published.vector_files import VectorFamily
from personae.science.capping_floors import ORIENTATION
from personae.science.reliability import RELIABILITY

Own = Mapping[tuple[str, str], NDArray[np.float32]]
"""Maps kind and name to the study's own vectors, ``[n_layers, hidden]``."""


def direction_table(families: Sequence[VectorFamily], caps: Sequence[PublishedCap]) -> pa.Table:
    """Return ``directions``: axes, and the vectors of every capping experiment at its layers."""
    parts = [_part(f.vectors, f.at, direction=f.name) for f in families]
    for name in dict.fromkeys(cap.experiment for cap in caps):
        here = sorted((cap for cap in caps if cap.experiment == name), key=lambda cap: cap.layer)
        vectors = np.stack([cap.direction for cap in here])
        parts.append(_part(vectors, [cap.layer for cap in here], direction=name))
    unknown = ("residual_norm", "n_roles", "n_default", "integrity")
    return _assembled(parts, "directions", unknown)


def role_table(families: Sequence[VectorFamily]) -> pa.Table:
    """Return ``role_vectors``; the default Assistant is of the kind ``default``."""
    parts = [
        _part(f.vectors, f.at, role=f.name, kind="default" if f.name == DEFAULT else "fully")
        for f in families
    ]
    return _assembled(parts, "role_vectors", ("n", "n_unscored"))


def trait_table(families: Sequence[VectorFamily]) -> pa.Table:
    """Return ``trait_vectors`` with ``published`` as how their rollouts were selected.

    A last row that was taken after the final norm has ``published, after the final norm``.
    """
    parts = []
    for family in families:
        part = _part(family.vectors, family.at, trait=family.name, variant=family.span)
        selection = ["published"] * part.num_rows
        if family.normed_end:
            selection[-1] += ", after the final norm"
        parts.append(part.append_column("selection", pa.array(selection)))
    return _assembled(parts, "trait_vectors", ("n_cells", *RELIABILITY))


def floor_table(caps: Sequence[PublishedCap]) -> pa.Table:
    """Return ``floors`` of the capping experiments, on +axis; the file does not say their pool."""
    rows = [
        {
            "direction": cap.experiment,
            "pool": "published",
            "reading": cap.reading,
            "orientation": ORIENTATION,
            "percentile": None if np.isnan(cap.percentile) else cap.percentile,
            "layer": cap.layer,
            "floor": cap.floor,
        }
        for cap in caps
    ]
    return tables.from_rows(rows, "floors")


def comparison(kind: str, families: Sequence[VectorFamily], own: Own) -> list[dict[str, Any]]:
    """Return rows of ``published_cosines``: every layer of each family against the study's own.

    ``after_final_norm`` marks the rows whose published vector is not the residual stream after the
    block, as the study's own is, but that stream after the model's final norm.
    """
    rows = []
    for family in families:
        mine = own.get((kind, family.name))
        if mine is None or family.span != "response_mean":
            continue
        theirs, mine = family.vectors.astype(np.float64), mine[list(family.at)]
        norms = [np.linalg.norm(each, axis=1) for each in (theirs, mine)]
        cosines = (theirs * mine).sum(axis=1) / np.maximum(norms[0] * norms[1], 1e-30)
        rows += [
            {
                "kind": kind,
                "name": family.name,
                "layer": layer,
                "cosine": float(cosines[row]),
                "norm": float(norms[0][row]),
                "own_norm": float(norms[1][row]),
                "after_final_norm": family.normed_end and row == len(cosines) - 1,
            }
            for row, layer in enumerate(family.at)
        ]
    return rows


def _part(
    vectors: NDArray[np.floating], layers: Sequence[int] | None = None, **named: str
) -> pa.Table:
    rows = vector_rows(vectors, range(len(vectors)) if layers is None else layers)
    columns = {name: [value] * len(vectors) for name, value in named.items()}
    return pa.table({**columns, **rows, "norm": np.linalg.norm(vectors, axis=1)})


def _assembled(parts: Sequence[pa.Table], schema: str, unknown: Sequence[str]) -> pa.Table:
    """Concatenate parts into the declared schema; columns that a file does not state are null."""
    declared = SCHEMAS[schema].names
    whole = []
    for part in parts:
        for name in unknown:
            part = part.append_column(name, pa.nulls(part.num_rows))
        whole.append(part.select(declared))
    return tables.assemble(whole, schema)
