"""Multi-turn conversations with user turns that are fixed or written by an auditor.

All conversations advance together, one turn per batch, so that capped and uncapped arms run through
the same code path with the same dtype and sampling settings.
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
    """One conversation whose assistant turns are to be generated.

    Attributes
    ----------
    id
        Unique; turn ``t`` has the response id ``{id}-t{t}``.
    seed_key
        Key from which seeds derive. All arms of a conversation share it, so they differ only by
        their interventions.
    users
        The user turns, if they are fixed.
    """

    id: str
    seed_key: tuple[str, ...]
    system: str | None
    users: tuple[str, ...] = ()
    columns: Mapping[str, Any] = field(default_factory=dict)
    interventions: tuple[Intervention, ...] = ()


class UserTurns(Protocol):
    """Source of user turns."""

    def __call__(
        self,
        dialogues: Sequence[Dialogue],
        histories: Mapping[str, Sequence[Message]],
        turn: int,
    ) -> Sequence[str | None]:
        """Return the next user message of each dialogue; None ends the conversation.

        Parameters
        ----------
        histories
            Maps a dialogue's id to its messages so far, including any system prompt.
        turn
            Index of the next turn, from 0.
        """


def scripted(
    dialogues: Sequence[Dialogue], histories: Mapping[str, Sequence[Message]], turn: int
) -> list[str | None]:
    """Return the fixed user turns of the dialogues; a dialogue ends after its last one."""
    return [d.users[turn] if turn < len(d.users) else None for d in dialogues]


def play(
    engine: EngineClient,
    dialogues: Sequence[Dialogue],
    sampling: Sampling,
    schema_name: str,
    *,
    seed: int,
    vectors: Mapping[str, NDArray[np.float32]] | None = None,
    users: UserTurns = scripted,
) -> pa.Table:
    """Generate all assistant turns; return one row per turn, with ``turn`` counted from 0."""
    histories = {d.id: _opening(d) for d in dialogues}
    tables = [SCHEMAS[schema_name].empty_table()]
    active, turn = list(dialogues), 0
    while active := _append_user_turns(active, histories, users(active, histories, turn)):
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


def _append_user_turns(
    dialogues: Sequence[Dialogue],
    histories: Mapping[str, list[Message]],
    said: Sequence[str | None],
) -> list[Dialogue]:
    """Append the user messages to the histories and return the dialogues that continue."""
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
