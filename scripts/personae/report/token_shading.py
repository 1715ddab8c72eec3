"""Projections of single tokens, by which the page shades its transcripts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np

from personae.data.data_frames import read_frame
from personae.report.response_sources import ARMS

_SPREAD: Final = 95.0  # percentile of the distance from the middle at which shading is full
_DIGITS: Final = 2


def token_shading(files: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """Return the tokens of shown responses with their projections.

    Returns
    -------
    dict
        ``directions``: name, layer, ``middle`` (median over all shown tokens) and ``spread`` (95th
        percentile of the distance from it); ``responses``: by ``arm/response_id``, the texts of the
        ``tokens`` and ``<h, u>`` of each by direction. Both are empty if the study projects none.
    """
    paths = files.get("shown_tokens", ())
    if not paths:
        return {"directions": [], "responses": {}}
    rows = read_frame(paths, "shown_tokens")
    directions = []
    for (name, layer), own in rows.groupby(["direction", "layer"], sort=False):
        values = np.concatenate([np.asarray(each, dtype=np.float64) for each in own.projections])
        middle = float(np.median(values))
        spread = float(np.percentile(np.abs(values - middle), _SPREAD)) or 1.0
        directions.append({"name": name, "layer": layer, "middle": middle, "spread": spread})
    responses: dict[str, Any] = {}
    for row in rows.itertuples():
        key = f"{ARMS[str(row.source)]}/{row.response_id}"
        shown = responses.setdefault(key, {"tokens": list(row.pieces), "values": {}})
        shown["values"][row.direction] = [round(float(v), _DIGITS) for v in row.projections]
    return {"directions": directions, "responses": responses}
