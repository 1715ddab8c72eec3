"""Data of the page's steering explorer, capping heat map and plots of turns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import pandas as pd

from personae.data.data_frames import read_frame
from personae.report.response_sources import ARMS

Files = Mapping[str, Sequence[str]]

TurnKey = tuple[str, str, str, int]
"""A turn: the page's name of the arm, conversation, how it was made, and the turn from 0."""

_PROJECTED: Final = {
    "drift_projections": ("replays", "simulated"),
    "case_projections": ("case_replays",),
}
"""Tables of projections, with the inputs whose turns they hold."""

_AXIS: Final = "axis"
_DIGITS: Final = 3


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
            *rounded(row[["mean", "low", "high"]], 1),
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
            **dict(zip(numbers, rounded(row[numbers]), strict=True)),
        }
        for _, row in own.iterrows()
    ]


def turn_projections_on_axis(files: Files, layer: int) -> dict[TurnKey, float]:
    """Return the projection of every turn on the Assistant Axis at one layer."""
    conditions = [("layer", "==", layer), ("direction", "==", _AXIS)]
    found: dict[TurnKey, float] = {}
    for name, sources in _PROJECTED.items():
        if not files.get(name):
            continue
        rows = read_frame(files[name], "drift_projections", filters=conditions)
        for row in rows.itertuples():
            for source in sources:
                key = (ARMS[source], str(row.conversation), str(row.arm), int(row.turn))
                found[key] = float(row.projection)
    return found


def rounded(values: Any, digits: int = _DIGITS) -> list[float | None]:
    """Return numbers for JSON; none for a missing one."""
    return [None if pd.isna(value) else round(float(value), digits) for value in values]


def _native(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return a record with plain numbers in place of numpy's."""
    return {key: v.item() if hasattr(v, "item") else v for key, v in record.items()}
