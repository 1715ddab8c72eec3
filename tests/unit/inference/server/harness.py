"""Helpers for tests of server processes."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from pathlib import Path

from personae.api.requests import EngineSpec, GenerateRow, Message, Sampling
from personae.base.errors import PersonaeError
from personae.base.process_identity import ProcessIdentity
from personae.inference.client import EngineClient, connect

HERE = Path(__file__).parent


class Servers:
    """The sockets, specs and processes of one test."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.log: list[str] = []

    def spec(self, name: str = "model", **options: object) -> EngineSpec:
        return EngineSpec.model_validate(
            {"model": str(self.folder / name), "start_timeout": 30, **options}
        )

    def connect(self, name: str = "model", **options: object) -> EngineClient:
        return connect(self.spec(name, **options), self.log.append)

    def loads(self, name: str = "model") -> list[int]:
        """Return the process ids of all servers that have started to load a model."""
        path = (self.folder / name).with_suffix(".loads")
        return [int(line) for line in path.read_text().split()] if path.exists() else []

    def sockets(self) -> list[Path]:
        return list(self.folder.rglob("*.sock"))


def wait_until(condition: Callable[[], bool], seconds: float) -> bool:
    """Return whether a condition becomes true in time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.05)
    return False


def is_gone(pid: int) -> bool:
    """Return whether a process has ended (a zombie has)."""
    return ProcessIdentity.of(pid) is None


def say(client: EngineClient, *commands: str) -> list[str]:
    """Have the stand-in engine act on commands, see `stand_in`; return its responses."""
    rows = [
        GenerateRow(id=f"row{i}", messages=[Message(role="user", content=command)], seed=i)
        for i, command in enumerate(commands)
    ]
    return client.generate(rows, Sampling())["response"].to_pylist()


def say_ignoring_errors(client: EngineClient, command: str) -> None:
    """Send a command that the server may not survive, and ignore the error."""
    with contextlib.suppress(PersonaeError):
        say(client, command)
