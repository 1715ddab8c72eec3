"""Multi-turn conversations, in step: user turns that are fixed, or written as the talk goes on.

All conversations advance together, one turn per batch, so that a capped and an uncapped arm run
through the same code path, dtype and sampling settings (METHODS: one engine per comparison).
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from personae.api.requests import Intervention, Message, Sampling
from personae.api.rollout import Rollout, seed_of
from personae.data.schemas import SCHEMAS
from personae.inference.client import EngineClient
from personae.rollouts.responses import generate_responses

LOG = logging.getLogger("personae")


@dataclass(frozen=True)
class Dialogue:
    """One conversation to play: its assistant turns are generated.

    Attributes
    ----------
    id
        Unique; turn ``t`` gets the response id ``{id}-t{t}``.
    seed_key
        What the seed derives from. Arms of one conversation share it, so that they differ by
        their interventions alone.
    users
        The user turns, where they are fixed.
    """

    id: str
    seed_key: tuple[str, ...]
    system: str | None
    users: tuple[str, ...] = ()
    columns: Mapping[str, Any] = field(default_factory=dict)
    interventions: tuple[Intervention, ...] = ()


class Users(Protocol):
    """Who says the user turns."""

    def __call__(
        self,
        dialogues: Sequence[Dialogue],
        histories: Mapping[str, Sequence[Message]],
        turn: int,
    ) -> Sequence[str | None]:
        """Return what the user of each dialogue says next; None ends that conversation.

        Parameters
        ----------
        histories
            By id of the dialogue: all that was said, a system prompt included.
        turn
            Which turn is due, counted from 0.
        """


def scripted(
    dialogues: Sequence[Dialogue], histories: Mapping[str, Sequence[Message]], turn: int
) -> list[str | None]:
    """Return the fixed user turns of the dialogues; each ends when it has no more."""
    return [d.users[turn] if turn < len(d.users) else None for d in dialogues]


def play(
    engine: EngineClient,
    dialogues: Sequence[Dialogue],
    sampling: Sampling,
    schema_name: str,
    *,
    seed: int,
    vectors: Mapping[str, NDArray[np.float32]] | None = None,
    users: Users = scripted,
) -> pa.Table:
    """Generate every assistant turn and return one row per turn, ``turn`` counted from 0."""
    histories = {d.id: _opening(d) for d in dialogues}
    tables = [SCHEMAS[schema_name].empty_table()]
    active, turn = list(dialogues), 0
    while active := _heard(active, histories, users(active, histories, turn)):
        LOG.info("turn %d of %d conversations", turn + 1, len(active))
        rollouts = [_rollout(d, histories[d.id], turn, seed) for d in active]
        table = generate_responses(engine, rollouts, sampling, schema_name, vectors)
        tables.append(table)
        replies = dict(
            zip(table["response_id"].to_pylist(), table["response"].to_pylist(), strict=True)
        )
        for dialogue in active:
            reply = Message(role="assistant", content=replies[turn_id(dialogue.id, turn)])
            histories[dialogue.id].append(reply)
        turn += 1
    return pa.concat_tables(tables)


def _heard(
    dialogues: Sequence[Dialogue],
    histories: Mapping[str, list[Message]],
    said: Sequence[str | None],
) -> list[Dialogue]:
    """Write down what users said and return the dialogues that go on."""
    going = []
    for dialogue, text in zip(dialogues, said, strict=True):
        if text is not None:
            histories[dialogue.id].append(Message(role="user", content=text))
            going.append(dialogue)
    return going


def turn_id(dialogue_id: str, turn: int) -> str:
    """Return the response id of one turn of a dialogue."""
    return f"{dialogue_id}-t{turn}"


def _opening(dialogue: Dialogue) -> list[Message]:
    if dialogue.system is None:
        return []
    return [Message(role="system", content=dialogue.system)]


def _rollout(dialogue: Dialogue, history: Sequence[Message], turn: int, seed: int) -> Rollout:
    return Rollout(
        id=turn_id(dialogue.id, turn),
        messages=tuple(history),
        seed=seed_of(seed, *dialogue.seed_key, turn),
        columns={**dialogue.columns, "turn": turn, "question": history[-1].content},
        interventions=dialogue.interventions,
    )
