"""One response to be generated: its messages, its seed and its interventions."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from personae.api.requests import Intervention, Message

Questions = Sequence[Sequence[str]]
"""Pairs of question id and text."""


@dataclass(frozen=True)
class Rollout:
    """One response to be generated.

    Attributes
    ----------
    id
        Unique within its table.
    messages
        What the model sees, before the chat template.
    seed
        Of this rollout's own random stream.
    columns
        Cells that identify it in its table, ``question`` among them.
    interventions
        Applied while it is generated.
    """

    id: str
    messages: tuple[Message, ...]
    seed: int
    columns: Mapping[str, Any]
    interventions: tuple[Intervention, ...] = field(default=())


def seed_of(seed: int, *key: str | int) -> int:
    """Derive a rollout's seed from the study's seed and what identifies the rollout.

    Hashing makes seeds independent of order: a question added elsewhere changes no other rollout.
    """
    text = "\x1f".join(str(part) for part in (seed, *key))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little") >> 1


def chat(system: str | None, user: str) -> tuple[Message, ...]:
    """Return the messages of a single question, with or without a system prompt."""
    question = Message(role="user", content=user)
    if system is None:
        return (question,)
    return (Message(role="system", content=system), question)


def messages_of(row: Mapping[str, Any]) -> list[Message]:
    """Return the messages that a row of responses answers."""
    return [Message(**message) for message in json.loads(row["messages"])]


def exchange_of(row: Mapping[str, Any]) -> list[Message]:
    """Return the messages of a row of responses, with the response as the last one."""
    return [*messages_of(row), Message(role="assistant", content=row["response"])]
