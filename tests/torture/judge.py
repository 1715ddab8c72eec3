"""The judge of the torture study: an HTTP endpoint that counts the answers that it gave."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import sqlite3
from collections import Counter
from pathlib import Path
from typing import Any

from personae.endpoints.answer_database import FILE

from ..unit.endpoints.misbehaving import Endpoint, Reply
from ..workflow.test_endpoints import UNUSABLE, digest, judge

_SLOWEST = 0.5


class JudgingEndpoint(Endpoint):
    """Says a verdict by a digest of what it is asked, now and then none.

    Attributes
    ----------
    given
        How often each model was asked each thing since the last call of `forget`.
    is_slow
        Whether answers take up to half a second, so that a node can be killed between two.
    judged
        What was answered with a verdict: the rest is asked for again by every run.
    """

    def __init__(self, port: int = 0) -> None:
        super().__init__(judge, port=port)
        self.given: Counter[tuple[str, str]] = Counter()
        self.judged: set[tuple[str, str]] = set()
        self.is_slow = False

    def forget(self) -> None:
        """Reset the counts."""
        self.given.clear()

    def reply(self, body: dict[str, Any], headers: dict[str, str]) -> Reply:
        """Count a request and say what follows."""
        reply, asked = super().reply(body, headers), str(body["messages"][-1]["content"])
        delay = digest(asked) % 100 / 100 * _SLOWEST if self.is_slow else 0.0
        return dataclasses.replace(reply, delay=delay)

    def done(self, body: dict[str, Any], reply: Reply) -> None:
        """Count a reply that was delivered whole."""
        super().done(body, reply)
        if reply.status == 200:
            asked = str(body["model"]), str(body["messages"][-1]["content"])
            self.given[asked] += 1
            if has_verdict(reply.body.decode()):
                self.judged.add(asked)


def has_verdict(text: str) -> bool:
    """Tell whether an answer of this judge, or a reply with it, holds a verdict."""
    return UNUSABLE not in text


def kept_answers(root: Path) -> int:
    """Return the number of answers with a verdict in a project's database."""
    path = root / "answers" / FILE
    if not path.exists():
        return 0
    with contextlib.closing(sqlite3.connect(path)) as connection:
        rows = connection.execute("SELECT answer FROM answers").fetchall()
    return sum(has_verdict(json.loads(text)["text"]) for (text,) in rows)
