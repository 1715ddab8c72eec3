"""Persona drift: the mean projection on the axis per turn of a conversation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import pyarrow as pa

from personae.data import tables
from personae.science.projection import turn_profile
from personae.science.resampling import DRAWS, Bootstrap

EVERY_DOMAIN: Final = "*"
"""Domain of a row about all domains together."""


def along_axis(layer: int) -> list[tuple[str, str, Any]]:
    """Return the filter of the rows of ``drift_projections`` on the axis at one layer."""
    return [("direction", "==", "axis"), ("layer", "==", layer)]


def drift_summary(
    table: pa.Table,
    layer: int,
    *,
    min_samples: int,
    seed: int,
    of_domains: Mapping[str, int] | None = None,
) -> pa.Table:
    """Mean projection on the axis per turn at one layer, by arm and kind (AA, persona drift).

    Parameters
    ----------
    table
        Rows of ``drift_projections`` on the axis at ``layer``, see `along_axis`.
    layer
        Written to the table; 0-based, the residual stream after block ``layer``.
    min_samples
        Turn positions with fewer conversations are dropped (paper: 10).
    seed
        Of the bootstrap, which draws conversations with replacement.
    of_domains
        Arms that are averaged by domain as well, each with its own ``min_samples``.

    Returns
    -------
    pa.Table
        Columns of ``drift_summary``. ``mean`` is of ``<h, u>`` with ``u`` the unit axis, in units
        of the residual stream: larger is closer to the default Assistant. ``low`` and ``high``
        bound 95 %; null with a single conversation. ``turn`` counts assistant turns from 0.
    """
    rows, least = table.to_pylist(), of_domains or {}
    groups = {(row["arm"], row["kind"], EVERY_DOMAIN) for row in rows}
    groups |= {(row["arm"], row["kind"], row["domain"]) for row in rows if row["arm"] in least}
    summary = []
    for arm, kind, domain in sorted(groups):
        profile = turn_profile(
            *_turns(rows, arm, kind, domain),
            Bootstrap(DRAWS, seed),
            min_samples=least.get(arm, min_samples),
        )
        place = {"arm": arm, "kind": kind, "domain": domain, "layer": layer}
        summary += [
            {
                **place,
                "turn": point.turn,
                "n": point.n,
                "mean": point.projection.estimate,
                "low": point.projection.low,
                "high": point.projection.high,
            }
            for point in profile.points
        ]
    return tables.from_rows(summary, "drift_summary")


def _turns(
    rows: Sequence[Mapping[str, Any]], arm: str, kind: str, domain: str
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return projections, turns and conversations of one group."""
    members = [
        row
        for row in rows
        if (row["arm"], row["kind"]) == (arm, kind) and domain in (EVERY_DOMAIN, row["domain"])
    ]
    projections, turns, conversations = (
        np.asarray([row[name] for row in members])
        for name in ("projection", "turn", "conversation")
    )
    return projections, turns, conversations
