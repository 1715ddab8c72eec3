"""Data of the page's persona map, steering explorer and capping heat map."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import pandas as pd

from personae.data import tables
from personae.data.data_frames import read_frame
from personae.data.vector_stacks import stack

Files = Mapping[str, Sequence[str]]

_AXIS: Final = "axis"
_SCALING: Final = "centred"
_COMPONENTS: Final = 6
_DIGITS: Final = 3


def persona_map(files: Files, layer: int, descriptions: Mapping[str, str]) -> dict[str, Any]:
    """Return roles on the first components of persona space, and their projection on the axis.

    Parameters
    ----------
    layer
        The model's middle layer: the stream after that block.
    descriptions
        What each role is, in a sentence.

    Returns
    -------
    dict
        ``layer``, ``variance`` (the share of each component) and ``roles``: name, kind (``fully``,
        ``somewhat`` or ``default``), ``at`` (coordinates), ``axis`` (``<v, u>`` of the role vector,
        positive toward the Assistant) and ``about``.
    """
    conditions = [("layer", "==", layer), ("scaling", "==", _SCALING)]
    found = read_frame(files["space_coordinates"], "space_coordinates", filters=conditions)
    parts = read_frame(files["space_components"], "space_components", filters=conditions)
    projected = _axis_projections(files, layer)
    found = found[found.component < _COMPONENTS]
    roles = [
        {
            "name": role,
            "kind": kind,
            "at": _rounded(rows.sort_values("component").coordinate),
            "axis": projected.get((str(role), str(kind))),
            "about": descriptions.get(str(role), ""),
        }
        for (role, kind), rows in found.groupby(["role", "kind"], sort=False)
    ]
    shares = parts.sort_values("component").variance_ratio[:_COMPONENTS]
    return {"layer": layer, "variance": _rounded(shares), "roles": roles}


def _axis_projections(files: Files, layer: int) -> dict[tuple[str, str], float]:
    """Return the projection of every role vector on the unit axis, by role and kind."""
    here = [("layer", "==", layer)]
    axes = stack(tables.read(files["directions"][0], "directions", filters=here), "direction")
    axis = axes.select([_AXIS]).vectors[0, 0].astype(np.float64)
    unit = axis / max(float(np.linalg.norm(axis)), 1e-30)
    table = tables.read(files["role_vectors"][0], "role_vectors", filters=here)
    values = tables.to_matrix(table["vector"]).astype(np.float64) @ unit
    keys = zip(table["role"].to_pylist(), table["kind"].to_pylist(), strict=True)
    return {key: round(float(value), _DIGITS) for key, value in zip(keys, values, strict=True)}


def steering_grid(files: Files, judge: str) -> list[dict[str, Any]]:
    """Return one record a trait, direction, layer and coefficient, with its mean scores.

    Scores are those of ``judge``, 0 to 100, by rubric: mean, low, high (95%), n and unscored. The
    layer sweep and the sweep of coefficients are told apart by ``sweep``.
    """
    found = []
    for name, sweep in (("sweep_effects", "layer sweep"), ("steering_effects", "steering")):
        effects = read_frame(files[name], "steering_effects", filters=[("judge", "==", judge)])
        keys = ["trait", "direction", "layer", "coefficient"]
        for key, rows in effects.groupby(keys, sort=False):
            named = dict(zip(keys, key, strict=True))
            chosen = bool(rows.chosen.any())
            scores = _by_rubric(rows)
            found.append({**_native(named), "sweep": sweep, "chosen": chosen, "scores": scores})
    return found


def _by_rubric(rows: pd.DataFrame) -> dict[str, list[float | int | None]]:
    return {
        str(row["rubric"]): [
            *_rounded(row[["mean", "low", "high"]], 1),
            *map(int, row[["n", "n_unscored"]]),
        ]
        for _, row in rows.iterrows()
    }


def capping_grid(files: Files, judge: str) -> list[dict[str, Any]]:
    """Return one record a direction, band, percentile and measure: value, change and interval.

    Measures by judges are those of ``judge``. The change is against no capping on the same items.
    """
    table = read_frame(files["capping_tradeoff"], "capping_tradeoff")
    own = table[table.judge.isna() | table.judge.isin(["", judge])]
    numbers = ["value", "change", "low", "high"]
    return [
        {
            "direction": row["direction"],
            "band": row["band"],
            "percentile": None if pd.isna(row["percentile"]) else float(row["percentile"]),
            "measure": row["measure"],
            "n": int(row["n"]),
            **dict(zip(numbers, _rounded(row[numbers]), strict=True)),
        }
        for _, row in own.iterrows()
    ]


def turn_projections_on_axis(files: Files, layer: int) -> dict[tuple[str, str, int], float]:
    """Return the projection of every turn by conversation, how it was made, and turn."""
    conditions = [("layer", "==", layer), ("direction", "==", _AXIS)]
    rows = read_frame(files["drift_projections"], "drift_projections", filters=conditions)
    keys = zip(rows.conversation, rows.arm, rows.turn, strict=True)
    return {
        (str(conversation), str(arm), int(turn)): float(value)
        for (conversation, arm, turn), value in zip(keys, rows.projection, strict=True)
    }


def _rounded(values: Any, digits: int = _DIGITS) -> list[float | None]:
    return [None if pd.isna(value) else round(float(value), digits) for value in values]


def _native(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return a record with plain numbers in place of numpy's."""
    return {key: v.item() if hasattr(v, "item") else v for key, v in record.items()}
