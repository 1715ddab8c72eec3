"""Export floors as a capping configuration in the published format."""

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

_Units = dict[tuple[str, int], NDArray[np.float32]]


def write_caps(directions: Path, floors: Path, path_out: Path) -> None:
    """Write floors as a capping configuration whose vectors point toward the Assistant.

    Every direction, pool, reading and percentile becomes an experiment of one cap per layer: the
    floor along the direction at unit length, ``[hidden]`` float32, layers 0-based after the block.
    A ``.safetensors`` file holds what is no tensor as JSON in its metadata.

    Raises
    ------
    PersonaeError
        When the format is neither ``.pt`` nor ``.safetensors``, or a floor has no direction.
    """
    units = _units(directions)
    experiments: dict[str, list[dict[str, Any]]] = {}
    used: _Units = {}
    for row in tables.read(floors, "floors").to_pylist():
        key = row["direction"], row["layer"]
        if key not in units:
            message = f"{directions} has no {key[0]!r} at layer {key[1]}; give tables of one study"
            raise PersonaeError(f"{floors}: {message}")
        used[key] = units[key]
        cap = {"vector": _named(*key), "cap": row["floor"]}
        experiments.setdefault(_experiment(row), []).append(cap)
    if not used:
        raise PersonaeError(f"{floors}: no floors; give another table")
    listed = [{"id": name, "interventions": caps} for name, caps in experiments.items()]
    layers = {_named(*key): key[1] for key in used}
    tensors = {_named(*key): unit for key, unit in used.items()}
    vectors = {name: {"layer": layers[name], "vector": unit} for name, unit in tensors.items()}
    plain = json.dumps({"layers": layers, "experiments": listed})
    about = {"layers": "blocks", "orientation": "toward", CAPS_KEY: plain}
    save(tensors, {"vectors": vectors, "experiments": listed}, about, path_out)


def _units(directions: Path) -> _Units:
    """Return unit vectors of a table's directions by name and layer; a zero vector stays zero."""
    table = tables.read(directions, "directions")
    matrix = tables.to_matrix(table["vector"]).astype(np.float64)
    norms = np.maximum(np.linalg.norm(matrix, axis=1, keepdims=True), 1e-30)
    keys = zip(table["direction"].to_pylist(), table["layer"].to_pylist(), strict=True)
    return dict(zip(keys, (matrix / norms).astype(np.float32), strict=True))


def _named(direction: str, layer: int) -> str:
    return f"{direction}/layer_{layer}"


def _experiment(row: Mapping[str, Any]) -> str:
    """Return the name of an experiment; an imported one keeps its name."""
    if row["pool"] == "published":
        return str(row["direction"])
    parts = (row["direction"], row["pool"], row["reading"])
    return f"{'-'.join(parts)}-p{row['percentile'] / 100:g}"
