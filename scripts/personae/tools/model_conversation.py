"""Ask a model in a conversation under named interventions, and project what it says."""

from __future__ import annotations

from collections.abc import Sequence

from personae.api.requests import GenerateRow, Message, RenderRow, Sampling
from personae.api.wire_encoding import unpack_vector
from personae.base.errors import PersonaeError
from personae.data.vector_columns import to_matrix
from personae.inference.client import EngineClient
from personae.inference.server.presets import Presets, Reading
from personae.inference.turn_projections import (
    Direction,
    TurnProjections,
    activations_request,
    layers_of_directions,
    turn_projections,
)


class Conversation:
    """Messages, and a model that goes on with them.

    Parameters
    ----------
    client
        The model's server.
    presets
        Interventions by name, and the directions of projections.
    """

    def __init__(self, client: EngineClient, presets: Presets) -> None:
        self._client, self._presets = client, presets
        self.messages: list[Message] = []

    def say(self, text: str, settings: str, sampling: Sampling, seed: int) -> str:
        """Add a user's message and the model's answer under ``settings``; return the answer."""
        messages = [*self.messages, Message(role="user", content=text)]
        interventions = self._presets.interventions(settings)
        packed = self._presets.packed(interventions, {})
        row = GenerateRow(id="chat", messages=messages, seed=seed, interventions=interventions)
        vectors = {name: unpack_vector(one) for name, one in packed.items()}
        answer = str(self._client.generate([row], sampling, vectors)["response"][0].as_py())
        self.messages = [*messages, Message(role="assistant", content=answer)]
        return answer


def project(
    client: EngineClient,
    messages: Sequence[Message],
    readings: dict[str, Reading],
    *,
    per_token: bool = False,
) -> list[TurnProjections]:
    """Project every assistant turn of a conversation, read by the plain model.

    Raises
    ------
    PersonaeError
        If the conversation has no assistant turn, or there is no direction.
    """
    if not readings:
        raise PersonaeError("no directions; give --study, the study whose axis to use")
    directions = {name: Direction(each.layer, each.unit) for name, each in readings.items()}
    (chat,) = client.render([RenderRow(id="chat", messages=list(messages), pieces=per_token)])
    if not chat.turns:
        raise PersonaeError("the conversation has no assistant turn; nothing to project")
    wanted = activations_request(chat, directions, per_token=per_token)
    table = client.activations(wanted.rows, layers=wanted.layers)
    n = len(layers_of_directions(directions))
    spans = table["span"].to_pylist()[::n]
    vectors = to_matrix(table["vector"]).reshape(len(spans), n, -1)
    return turn_projections(chat, zip(spans, vectors, strict=True), directions)
