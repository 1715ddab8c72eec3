"""Export of floors as a capping configuration that the published code can read."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from personae.base.errors import PersonaeError
from personae.data import tables
from personae.personas.published.safe_loading import CAPS_KEY
from personae.personas.published.write_vectors import save

_Away = dict[tuple[str, int], NDArray[np.float32]]


def write_caps(directions: Path, floors: Path, path_out: Path) -> None:
    """Write floors as a capping configuration in the published format (AA, activation capping).

    The published code clamps projections from *above*: ``h - u * max(<h, u> - cap, 0)`` with ``u``
    the unit vector of the file. So the vectors written here point *away* from the Assistant, and a
    floor on +axis becomes the cap ``-floor`` along them: both codes then move the same tokens to
    the same values.

    Every direction, pool, reading and percentile becomes an experiment of one cap per layer;
    vectors are ``[hidden]`` float32 of unit length, layers 0-based after the block. Beside what the
    published code reads, an experiment states its ``reading`` and ``percentile`` and the file its
    ``orientation`` and ``layers``. A ``.safetensors`` file holds all but the tensors as JSON in its
    metadata.

    Raises
    ------
    PersonaeError
        When the format is neither ``.pt`` nor ``.safetensors``, or a floor has no direction.
    """
    units = _away_units(directions)
    experiments: dict[str, dict[str, Any]] = {}
    used: _Away = {}
    for row in tables.read(floors, "floors").to_pylist():
        key = row["direction"], row["layer"]
        if key not in units:
            message = f"{directions} has no {key[0]!r} at layer {key[1]}; give tables of one study"
            raise PersonaeError(f"{floors}: {message}")
        used[key] = units[key]
        cap = {"vector": _named(*key), "cap": -row["floor"]}
        experiment = experiments.setdefault(_experiment(row), _described(row))
        experiment["interventions"].append(cap)
    if not used:
        raise PersonaeError(f"{floors}: holds no floors; name another table")
    listed = list(experiments.values())
    layers = {_named(*key): key[1] for key in used}
    tensors = {_named(*key): unit for key, unit in used.items()}
    vectors = {name: {"layer": layers[name], "vector": unit} for name, unit in tensors.items()}
    plain = json.dumps({"layers": layers, "experiments": listed})
    about = {"layers": "blocks", "orientation": "away"}
    content = {**about, "vectors": vectors, "experiments": listed}
    save(tensors, content, {**about, CAPS_KEY: plain}, path_out)


def _away_units(directions: Path) -> _Away:
    """Return the negated unit directions of a table by name and layer; a zero one stays zero."""
    table = tables.read(directions, "directions")
    matrix = tables.to_matrix(table["vector"]).astype(np.float64)
    norms = np.maximum(np.linalg.norm(matrix, axis=1, keepdims=True), 1e-30)
    keys = zip(table["direction"].to_pylist(), table["layer"].to_pylist(), strict=True)
    return dict(zip(keys, (-matrix / norms).astype(np.float32), strict=True))


def _named(direction: str, layer: int) -> str:
    return f"{direction}/layer_{layer}"


def _described(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return an experiment without interventions: its name, reading and percentile."""
    stated = {key: row[key] for key in ("reading", "percentile") if row[key] is not None}
    return {"id": _experiment(row), **stated, "interventions": []}


def _experiment(row: Mapping[str, Any]) -> str:
    """Return the name of an experiment; an imported one keeps its name."""
    if row["pool"] == "published":
        return str(row["direction"])
    parts = (row["direction"], row["pool"], row["reading"])
    return f"{'-'.join(parts)}-p{row['percentile'] / 100:g}"
