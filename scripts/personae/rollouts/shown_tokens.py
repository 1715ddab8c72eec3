"""Projections of single tokens in the transcripts that the report shows.

Every transcript is read by the plain model, whatever intervention wrote it, so that arms differ by
their text alone.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from personae.api.requests import Message, RenderedChat, RenderRow
from personae.api.rollout import exchange_of
from personae.data import tables
from personae.data.vector_stacks import stack
from personae.inference.client import EngineClient
from personae.inference.turn_projections import (
    Direction,
    TurnProjections,
    activations_request,
    layers_of_directions,
    turn_projections,
)

SINGLE: Final = {"steered_responses": "trait", "capped_responses": "subject"}
"""Tables with one row per response that is read by itself, with the column of its subject."""

SPOKEN: Final = ("replays", "simulated", "case_replays")
"""Tables of kind ``replays``: the last turn of a conversation holds all turns before it."""

_AT_ONCE: Final = 8  # transcripts per request: every token is a vector at every layer


class ShownTranscript(NamedTuple):
    """One transcript, with the response that each of its assistant turns is.

    Attributes
    ----------
    source
        The input that it comes from.
    messages
        The whole exchange; the last message is the assistant's.
    response_ids
        Maps assistant turns, counted from 0, to ids of responses; other turns are not kept.
    """

    source: str
    messages: list[Message]
    response_ids: dict[int, str]


def shown_transcripts(responses: Mapping[str, pa.Table], most: int) -> list[ShownTranscript]:
    """Choose transcripts by order, not by effect.

    Parameters
    ----------
    responses
        Tables by input, see `SINGLE` and `SPOKEN`.
    most
        Questions of each table, one of every subject in turn; conversations of each table. All
        settings are read but those of random directions.
    """
    found: list[ShownTranscript] = []
    for source, table in responses.items():
        rows = table.to_pylist()
        if source in SINGLE:
            found += _single(source, rows, most)
        else:
            found += _spoken(source, rows, most)
    return [
        each
        for each in found
        if all(m.content.strip() for m in each.messages if m.role == "assistant")
    ]


def _single(source: str, rows: Iterable[Mapping[str, Any]], most: int) -> Iterator[ShownTranscript]:
    """Yield the responses to the first questions, in all settings; the last turn is kept."""
    of_subject: dict[str, dict[str, list[Mapping[str, Any]]]] = {}
    for row in rows:
        if not row["direction"].startswith("random") and not row.get("sample"):
            subject = f"{row.get('suite', '')}/{row[SINGLE[source]]}"
            questions = of_subject.setdefault(subject, {})
            questions.setdefault(row["question_id"], []).append(row)
    turns = itertools.zip_longest(*(questions.values() for questions in of_subject.values()))
    cases = (case for case in itertools.chain.from_iterable(turns) if case)
    for row in itertools.chain.from_iterable(itertools.islice(cases, most)):
        messages = exchange_of(row)
        turn = sum(message.role == "assistant" for message in messages) - 1
        yield ShownTranscript(source, messages, {turn: row["response_id"]})


def _spoken(source: str, rows: Iterable[Mapping[str, Any]], most: int) -> Iterator[ShownTranscript]:
    """Yield every arm of the first conversations, the transcript as it was written included."""
    found: dict[str, dict[str, dict[int, Mapping[str, Any]]]] = {}
    for row in rows:
        arms = found.setdefault(row["conversation"], {})
        arms.setdefault(row["arm"], {})[row["turn"]] = row
    for arms in itertools.islice(found.values(), most):
        for turns in arms.values():
            ids = {turn: row["response_id"] for turn, row in turns.items()}
            yield ShownTranscript(source, exchange_of(turns[max(turns)]), ids)


def shown_tokens(
    engine: EngineClient,
    transcripts: Sequence[ShownTranscript],
    directions: Mapping[str, Direction],
) -> pa.Table:
    """Project every token of the transcripts' responses on every direction.

    Returns
    -------
    pa.Table
        Columns of ``shown_tokens``, one row per response and direction: the text of the tokens and
        ``<h, u>`` of each, with ``u`` the unit direction at its layer; positive is toward the
        default Assistant (``axis``) or toward the trait.
    """
    # ASSUME: transcripts are rendered again, as conversations are, not read from the ids of their
    # generation: that gives the text of each token, and shipped and generated turns are cut alike.
    rows: list[dict[str, Any]] = []
    for first in range(0, len(transcripts), _AT_ONCE):
        batch = transcripts[first : first + _AT_ONCE]
        asked = [
            RenderRow(id=str(place), messages=each.messages, pieces=True)
            for place, each in enumerate(batch)
        ]
        chats = [chat for chat in engine.render(asked) if chat.turns]
        for chat, turns in zip(chats, _projected(engine, chats, directions), strict=True):
            own = batch[int(chat.id)]
            for span, turn in zip(chat.turns, turns, strict=True):
                if response := own.response_ids.get(int(span.name.removeprefix("turn"))):
                    rows += _rows(own.source, response, turn, directions)
    return tables.from_rows(rows, "shown_tokens")


def _projected(
    engine: EngineClient, chats: Sequence[RenderedChat], directions: Mapping[str, Direction]
) -> list[list[TurnProjections]]:
    """Return the projections of all turns of every chat; all chats are read in one request."""
    if not chats:
        return []
    asked = [activations_request(c, directions, per_token=True).rows[0] for c in chats]
    table = engine.activations(asked, layers=layers_of_directions(directions))
    places = zip(table["id"].to_pylist(), table["span"].to_pylist(), strict=True)
    found = stack(table.append_column("place", pa.array([f"{i}\t{s}" for i, s in places])), "place")
    spans: dict[str, list[tuple[str, NDArray[np.float32]]]] = {chat.id: [] for chat in chats}
    for key, vectors in zip(found.keys, found.vectors, strict=True):
        chat_id, span = key.split("\t")
        spans[chat_id].append((span, vectors))
    return [turn_projections(chat, spans[chat.id], directions) for chat in chats]


def _rows(
    source: str, response: str, turn: TurnProjections, directions: Mapping[str, Direction]
) -> Iterator[dict[str, Any]]:
    for name, direction in directions.items():
        yield {
            "source": source,
            "response_id": response,
            "direction": name,
            "layer": direction.layer,
            "pieces": turn.tokens,
            "projections": turn.by_token[name],
        }
