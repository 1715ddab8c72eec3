"""Replays of conversations with given user turns, and the projection of each assistant turn."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from personae.api.requests import (
    ActivationRow,
    Intervention,
    Message,
    RenderRow,
    Sampling,
    Span,
)
from personae.api.rollout import exchange_of, messages_of
from personae.data import tables
from personae.data.table_values import SIMULATED
from personae.data.vector_stacks import Stack, stack
from personae.inference.client import EngineClient
from personae.rollouts.conversation import Dialogue, play, turn_id
from personae.science.null_directions import null_directions
from personae.science.projection import project
from personae.science.projection_tables import direction_stack

SHIPPED: Final = "shipped"
TRANSCRIPT: Final = ("conversation", "domain", "kind", "arm", "turn", "messages", "response")
"""Columns of ``replays`` that `replayed_transcripts` needs."""
_AT_ONCE: Final = 32  # conversations per request, to bound the memory for activations at all layers


class ChatTranscript(NamedTuple):
    """One conversation of one arm: ``[user, assistant, user, assistant, ...]``."""

    id: str
    columns: dict[str, str]
    messages: list[Message]


def replay(
    engine: EngineClient,
    conversations: Sequence[Mapping[str, Any]],
    caps: tuple[Intervention, ...],
    vectors: Mapping[str, NDArray[np.float32]],
    sampling: Sampling,
    seed: int,
) -> pa.Table:
    """Answer the user turns of conversations without and with caps. Columns of ``replays``.

    Arms ``replayed`` and ``capped`` share code path, sampling settings and seeds and differ by the
    caps alone; no system prompt (AA, persona drift and case studies).
    """
    dialogues = replay_dialogues(conversations, {"replayed": (), "capped": caps})
    return play(engine, dialogues, sampling, "replays", seed=seed, vectors=vectors)


def replay_dialogues(
    conversations: Sequence[Mapping[str, Any]], arms: Mapping[str, tuple[Intervention, ...]]
) -> list[Dialogue]:
    """Cross conversations (records with ``slug``, ``domain``, ``kind``, ``turns``) with arms."""
    return [
        Dialogue(
            id=f"{conversation['slug']}-{arm}",
            seed_key=("drift", conversation["slug"]),
            system=None,
            users=tuple(turn["user"] for turn in conversation["turns"]),
            columns=_columns(conversation, arm),
            interventions=interventions,
        )
        for arm, interventions in arms.items()
        for conversation in conversations
    ]


def _columns(conversation: Mapping[str, Any], arm: str) -> dict[str, str]:
    return {
        "conversation": conversation["slug"],
        "domain": conversation["domain"],
        "kind": conversation["kind"],
        "arm": arm,
    }


def shipped_transcripts(conversations: Sequence[Mapping[str, Any]]) -> list[ChatTranscript]:
    """Return the library's transcripts unchanged."""
    return [
        ChatTranscript(
            f"{conversation['slug']}-{SHIPPED}",
            _columns(conversation, SHIPPED),
            [
                Message(role=role, content=turn[role])
                for turn in conversation["turns"]
                for role in ("user", "assistant")
            ],
        )
        for conversation in conversations
    ]


def shipped_turns(conversations: Sequence[Mapping[str, Any]]) -> pa.Table:
    """Return the assistant turns of the transcripts as rows of ``replays``.

    They have no token ids, since no model of the study generated them; ``ids_from`` says so.
    """
    rows = []
    for transcript in shipped_transcripts(conversations):
        for turn, place in enumerate(range(1, len(transcript.messages), 2)):
            history = transcript.messages[:place]
            rows.append(
                {
                    "response_id": turn_id(transcript.id, turn),
                    "messages": json.dumps(
                        [message.model_dump() for message in history], ensure_ascii=False
                    ),
                    "prompt_ids": [],
                    "response_ids": [],
                    "response": transcript.messages[place].content,
                    "ids_from": "transcript",
                    "question": history[-1].content,
                    **transcript.columns,
                    "turn": turn,
                }
            )
    return tables.from_rows(rows, "replays")


def replayed_transcripts(replays: pa.Table) -> list[ChatTranscript]:
    """Return the generated conversations: the history of the last turn and its response.

    A simulated conversation that ends with an empty response is returned without that turn, which
    has no tokens to project.
    """
    last: dict[tuple[str, str], dict[str, Any]] = {}
    for row in replays.select(TRANSCRIPT).to_pylist():
        key = (row["conversation"], row["arm"])
        if key not in last or row["turn"] > last[key]["turn"]:
            last[key] = row
    found = [
        ChatTranscript(
            f"{conversation}-{arm}",
            {name: row[name] for name in ("conversation", "domain", "kind", "arm")},
            _messages(row),
        )
        for (conversation, arm), row in last.items()
    ]
    return [transcript for transcript in found if transcript.messages]


def _messages(row: Mapping[str, Any]) -> list[Message]:
    if row["arm"] == SIMULATED and not row["response"].strip():
        return messages_of(row)[:-1]
    return exchange_of(row)


def turn_projections(
    engine: EngineClient,
    transcripts: Sequence[ChatTranscript],
    directions: pa.Table,
    nulls: NullPlan | None = None,
) -> pa.Table:
    """Project every assistant turn of conversations on every direction (AA, persona drift).

    A conversation is rendered once and takes one forward pass, which gives the mean activation of
    each assistant turn at all layers, over the tokens of its content.

    Parameters
    ----------
    engine
        Client of the model server.
    transcripts
        Conversations of any arms.
    directions
        Table ``directions``: ``axis`` toward the default Assistant, and random directions.
    nulls
        Layer at which the turns are projected on further random directions, see
        `personae.science.null_directions`, whose covariance is that of turns within conversations.

    Returns
    -------
    pa.Table
        Columns of ``drift_projections``: ``<h, u>`` with ``u`` the unit direction of the layer, in
        units of the residual stream; larger along ``axis`` means closer to the default Assistant.
        ``layer`` is 0-based, the stream after the block; ``turn`` counts assistant turns from 0. An
        empty turn has no row.
    """
    axes = direction_stack(directions)
    parts, of_layer = [], []
    for first in range(0, len(transcripts), _AT_ONCE):
        some = transcripts[first : first + _AT_ONCE]
        means, n_tokens = _turn_means(engine, some)
        parts += _projected(some, means, n_tokens, axes)
        if nulls is not None:
            of_layer.append((some, _at(means, nulls.layer), n_tokens))
    if nulls is not None and of_layer:
        stream = np.concatenate([means.vectors[:, 0] for _, means, _ in of_layer])
        talks = [key.split("\t")[0] for _, means, _ in of_layer for key in means.keys]
        drawn = null_directions(stream, talks, nulls.seed)
        random = Stack(
            list(drawn),
            [nulls.layer],
            np.stack(list(drawn.values()))[:, np.newaxis].astype(np.float32),
        )
        parts += [table for some in of_layer for table in _projected(*some, random)]
    return tables.assemble(parts, "drift_projections")


class NullPlan(NamedTuple):
    """Layer at which random directions are drawn, and their seed."""

    layer: int
    seed: int


def _at(means: Stack, layer: int) -> Stack:
    """Return the same means at one layer."""
    place = means.layers.index(layer)
    return Stack(means.keys, [layer], means.vectors[:, place : place + 1])


def _projected(
    transcripts: Sequence[ChatTranscript], means: Stack, n_tokens: Mapping[str, int], axes: Stack
) -> list[pa.Table]:
    """Return one table per direction."""
    known = {transcript.id: transcript.columns for transcript in transcripts}
    places = [key.split("\t") for key in means.keys]
    columns = {
        **{name: [known[i][name] for i, _ in places] for name in TRANSCRIPT[:4]},
        "turn": [int(span.removeprefix("turn")) for _, span in places],
        "n_tokens": [n_tokens[key] for key in means.keys],
    }
    repeated = {name: np.repeat(np.asarray(c), len(means.layers)) for name, c in columns.items()}
    layers = np.tile(np.asarray(means.layers, dtype=np.int16), len(places))
    return [
        pa.table(
            {
                **repeated,
                "direction": np.repeat([name], len(layers)),
                "layer": layers,
                "projection": project(means.vectors, vectors).reshape(-1),
            }
        )
        for name, vectors in zip(axes.keys, axes.vectors, strict=True)
    ]


def _turn_means(
    engine: EngineClient, transcripts: Sequence[ChatTranscript]
) -> tuple[Stack, dict[str, int]]:
    """Return mean activations and token counts; keys are transcript id, tab, turn."""
    rendered = engine.render([RenderRow(id=t.id, messages=t.messages) for t in transcripts])
    rows = [
        ActivationRow(
            id=chat.id,
            token_ids=chat.token_ids,
            n_prompt=chat.turns[0].start,
            spans=[Span(name=turn.name, start=turn.start, end=turn.end) for turn in chat.turns],
        )
        for chat in rendered
        if chat.turns
    ]
    result = engine.activations(rows)
    turns = [
        f"{i}\t{s}"
        for i, s in zip(result["id"].to_pylist(), result["span"].to_pylist(), strict=True)
    ]
    n_tokens = dict(zip(turns, result["n_tokens"].to_pylist(), strict=True))
    return stack(result.append_column("turn", pa.array(turns)), "turn"), n_tokens
