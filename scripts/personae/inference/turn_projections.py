"""Where the assistant's turns of a conversation lie on some directions, token by token.

The conversation is read by the plain model, whatever intervention wrote it: what is measured is the
text, as the study measures its responses.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from personae.api.requests import ActivationRow, ActivationsRequest, RenderedChat, Span


class Direction(NamedTuple):
    """A unit direction, float32 ``[hidden]``, and the 0-based layer where it is read."""

    layer: int
    unit: NDArray[np.float32]


class TurnProjections(NamedTuple):
    """Projections of one assistant turn.

    Attributes
    ----------
    mean
        ``<h, u>`` of the mean over the turn's tokens, by direction.
    tokens
        The text of every token.
    by_token
        ``<h, u>`` of every token, by direction; empty when only means were asked for.
    """

    mean: dict[str, float]
    tokens: list[str]
    by_token: dict[str, list[float]]


def activations_request(
    chat: RenderedChat, directions: Mapping[str, Direction], *, per_token: bool
) -> ActivationsRequest:
    """Return the request whose spans are the chat's assistant turns, and each of their tokens."""
    spans = list(chat.turns)
    if per_token:
        spans += [
            Span(name=f"token{place}", start=place, end=place + 1)
            for turn in chat.turns
            for place in range(turn.start, turn.end)
        ]
    row = ActivationRow(
        id=chat.id, token_ids=chat.token_ids, n_prompt=chat.turns[0].start, spans=spans
    )
    return ActivationsRequest(rows=[row], layers=layers_of_directions(directions))


def layers_of_directions(directions: Mapping[str, Direction]) -> list[int]:
    """Return the layers that must be read, ascending."""
    return sorted({direction.layer for direction in directions.values()})


def turn_projections(
    chat: RenderedChat,
    means: Iterable[tuple[str, NDArray[np.float32]]],
    directions: Mapping[str, Direction],
) -> list[TurnProjections]:
    """Project the spans of `activations_request` and arrange them by turn.

    Parameters
    ----------
    means
        Name and float32 ``[layers of the directions, hidden]`` of every span.
    """
    place = {layer: i for i, layer in enumerate(layers_of_directions(directions))}
    values = {
        span: {
            name: float(vectors[place[each.layer]].astype(np.float64) @ each.unit)
            for name, each in directions.items()
        }
        for span, vectors in means
    }
    return [_turn(chat, turn, values, list(directions)) for turn in chat.turns]


def _turn(
    chat: RenderedChat, turn: Span, values: Mapping[str, dict[str, float]], names: Sequence[str]
) -> TurnProjections:
    tokens = [f"token{i}" for i in range(turn.start, turn.end)]
    known = tokens[0] in values
    by_token = {name: [values[t][name] for t in tokens] for name in names} if known else {}
    texts = chat.pieces[turn.start : turn.end]
    return TurnProjections(values[turn.name], list(texts), by_token)
