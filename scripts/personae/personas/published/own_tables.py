"""Convert published vectors to the workflow's tables."""

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
from personae.personas.published.capping_files import Cap
from personae.personas.published.vector_files import Family
from personae.science.capping_floors import ORIENTATION

Own = Mapping[tuple[str, str], NDArray[np.float32]]
"""Maps kind and name to the study's own vectors, ``[n_layers, hidden]``."""


def direction_table(families: Sequence[Family], caps: Sequence[Cap]) -> pa.Table:
    """Return ``directions``: axes, and the vectors of every capping experiment at its layers."""
    parts = [_part(family.vectors, direction=family.name) for family in families]
    for name in dict.fromkeys(cap.experiment for cap in caps):
        here = sorted((cap for cap in caps if cap.experiment == name), key=lambda cap: cap.layer)
        vectors = np.stack([cap.direction for cap in here])
        parts.append(_part(vectors, [cap.layer for cap in here], direction=name))
    unknown = ("residual_norm", "n_roles", "n_default", "integrity")
    return _assembled(parts, "directions", unknown)


def role_table(families: Sequence[Family]) -> pa.Table:
    """Return ``role_vectors``; the default Assistant is of the kind ``default``."""
    parts = [
        _part(f.vectors, role=f.name, kind="default" if f.name == DEFAULT else "fully")
        for f in families
    ]
    return _assembled(parts, "role_vectors", ("n", "n_unscored"))


def trait_table(families: Sequence[Family]) -> pa.Table:
    """Return ``trait_vectors``; the column for the selection of cells is ``published``."""
    parts = [
        _part(f.vectors, trait=f.name, variant=f.span, selection="published") for f in families
    ]
    return _assembled(parts, "trait_vectors", ("n_cells", "split_half"))


def floor_table(caps: Sequence[Cap]) -> pa.Table:
    """Return ``floors`` on +axis; the pool is null, since the file does not state it."""
    rows = [
        {
            "direction": cap.experiment,
            "pool": "published",
            "reading": "floor",
            "orientation": ORIENTATION,
            "percentile": None if np.isnan(cap.percentile) else cap.percentile,
            "layer": cap.layer,
            "floor": cap.floor,
        }
        for cap in caps
    ]
    return tables.from_rows(rows, "floors")


def comparison(kind: str, families: Sequence[Family], own: Own) -> list[dict[str, Any]]:
    """Return rows of ``published_cosines``: cosine with the study's own vector at every layer."""
    rows = []
    for family in families:
        mine = own.get((kind, family.name))
        if mine is None or family.span != "response_mean":
            continue
        theirs = family.vectors.astype(np.float64)
        norms = [np.linalg.norm(each, axis=1) for each in (theirs, mine)]
        cosines = (theirs * mine).sum(axis=1) / np.maximum(norms[0] * norms[1], 1e-30)
        rows += [
            {
                "kind": kind,
                "name": family.name,
                "layer": layer,
                "cosine": float(cosines[layer]),
                "norm": float(norms[0][layer]),
                "own_norm": float(norms[1][layer]),
            }
            for layer in range(len(cosines))
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
