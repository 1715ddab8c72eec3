"""Projection of single tokens of conversations on the Assistant Axis (AA, case studies)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import pyarrow as pa

from personae.api.requests import ActivationRow, RenderRow, Span
from personae.data import tables
from personae.data.vector_stacks import stack
from personae.inference.client import EngineClient
from personae.rollouts.drift_replay import ChatTranscript
from personae.science.projection import project
from personae.science.projection_tables import direction_stack

AXIS: Final = "axis"
_AT_ONCE: Final = 8  # conversations per request: every token is a vector


def token_projections(
    engine: EngineClient, transcripts: Sequence[ChatTranscript], directions: pa.Table, layer: int
) -> pa.Table:
    """Project every token of every assistant turn on the axis at one layer.

    Returns
    -------
    pa.Table
        Columns of ``token_projections``: ``<h, u>`` with ``u`` the unit axis, toward the default
        Assistant; ``token`` counts from 0 within the turn, ``turn`` from 0.
    """
    known = direction_stack(directions)
    axis = known.vectors[known.keys.index(AXIS)][[known.layers.index(layer)]]
    rows: list[dict[str, Any]] = []
    for first in range(0, len(transcripts), _AT_ONCE):
        rows += _rows(engine, transcripts[first : first + _AT_ONCE], axis, layer)
    return tables.from_rows(rows, "token_projections")


def _rows(
    engine: EngineClient, transcripts: Sequence[ChatTranscript], axis: np.ndarray, layer: int
) -> list[dict[str, Any]]:
    columns = {
        t.id: {name: t.columns[name] for name in ("conversation", "arm")} for t in transcripts
    }
    rendered = engine.render([RenderRow(id=t.id, messages=t.messages) for t in transcripts])
    asked = [
        ActivationRow(
            id=chat.id,
            token_ids=chat.token_ids,
            n_prompt=chat.turns[0].start,
            spans=[
                Span(name=f"{turn.name}-{place}", start=place, end=place + 1)
                for turn in chat.turns
                for place in range(turn.start, turn.end)
            ],
        )
        for chat in rendered
        if chat.turns
    ]
    if not asked:
        return []
    result = engine.activations(asked, layers=[layer])
    keys = [
        f"{chat}\t{span}"
        for chat, span in zip(result["id"].to_pylist(), result["span"].to_pylist(), strict=True)
    ]
    means = stack(result.append_column("token", pa.array(keys)), "token")
    values = project(means.vectors, axis)[:, 0]
    starts = {(chat.id, turn.name): turn.start for chat in rendered for turn in chat.turns}
    rows = []
    for key, value in zip(means.keys, values.tolist(), strict=True):
        chat_id, span = key.split("\t")
        name, place = span.rsplit("-", 1)
        rows.append(
            {
                **columns[chat_id],
                "turn": int(name.removeprefix("turn")),
                "token": int(place) - starts[chat_id, name],
                "layer": layer,
                "projection": value,
            }
        )
    return rows
