"""Alarms of a study on a transcript: is a trait about to show in the answer (PV, monitoring)?

An alarm reads the last prompt token before an answer, as the study's monitoring does, and not the
answer itself. Its threshold was chosen on one half of the study's questions; how often it is false
was measured on the other half.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from personae.api.requests import ActivationRow, Message, RenderRow, Span
from personae.data import tables
from personae.data.vector_columns import to_matrix
from personae.inference.client import EngineClient
from personae.science.projection import unit
from personae.science.steering_arms import steering_vectors


class Alarm(NamedTuple):
    """The alarm on one trait.

    Attributes
    ----------
    layer
        0-based; the residual stream after that block.
    unit
        ``[hidden]`` trait vector of length 1, toward the trait.
    threshold
        An alarm is a projection ``<h, u>`` above it.
    false_alarms, caught
        Shares of the other half's answers, without and with the trait, that raise it; None where
        that half has none.
    """

    layer: int
    unit: NDArray[np.float64]
    threshold: float
    false_alarms: float | None
    caught: float | None

    def about(self) -> dict[str, float | int | None]:
        """Return what can be printed of it."""
        return {name: value for name, value in self._asdict().items() if name != "unit"}


def read_alarms(folder: Path) -> dict[str, Alarm]:
    """Return the alarms of one model's results ``results/STUDY/MODEL``, by trait.

    A trait without a threshold, for lack of answers without the trait, has none.
    """
    found = {}
    for path in sorted(folder.glob("monitoring/*/alerts.parquet")):
        for row in tables.read(path, "monitoring_alerts").to_pylist():
            if row["threshold"] is None:
                continue
            vectors = folder / "traits" / row["trait"] / "vectors.parquet"
            family = steering_vectors(tables.read(vectors, "trait_vectors"))
            vector = family.vectors[0][family.layers.index(row["layer"])]
            found[row["trait"]] = Alarm(
                row["layer"], unit(vector), row["threshold"], row["false_alarms"], row["caught"]
            )
    return found


def project_prompts(
    client: EngineClient, messages: Sequence[Message], alarms: Mapping[str, Alarm]
) -> list[dict[str, float]]:
    """Project the last prompt token before every assistant turn on the trait of each alarm.

    The conversation is rendered once and read in one forward pass by the plain model: no token
    sees what comes after it.

    Returns
    -------
    list of dict
        ``<h, u>`` by trait, one entry per assistant turn; empty without alarms.
    """
    (chat,) = client.render([RenderRow(id="chat", messages=list(messages))])
    if not alarms:
        return [{} for _ in chat.turns]
    spans = [Span(name=turn.name, start=turn.start - 1, end=turn.start) for turn in chat.turns]
    layers = sorted({alarm.layer for alarm in alarms.values()})
    row = ActivationRow(
        id="chat", token_ids=chat.token_ids, n_prompt=chat.turns[0].start, spans=spans
    )
    table = client.activations([row], layers=layers)
    vectors = to_matrix(table["vector"]).reshape(len(spans), len(layers), -1).astype(np.float64)
    return [
        {name: float(at[layers.index(each.layer)] @ each.unit) for name, each in alarms.items()}
        for at in vectors
    ]


def alarm_line(values: Mapping[str, float], alarms: Mapping[str, Alarm]) -> str:
    """Say in words which alarms the prompt before a turn raises, and how near the others are."""
    parts = []
    for name, value in values.items():
        alarm = alarms[name]
        false = "not measured" if alarm.false_alarms is None else f"{alarm.false_alarms:.0%}"
        state = ": ALARM" if value > alarm.threshold else ""
        parts.append(
            f"{name} {value:.1f} (layer {alarm.layer}, threshold {alarm.threshold:.1f}, false "
            f"alarms {false}{state})"
        )
    return "; ".join(parts)
