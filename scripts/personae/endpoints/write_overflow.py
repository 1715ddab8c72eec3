"""Where answers go that the database cannot take: a full disk must not lose what was paid for.

A reserve of disk space lies beside the database. When a write fails, the reserve is given up and
the answers go to a file of their own, from which the next run takes them back.
"""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import sqlite3
from collections.abc import Iterable
from pathlib import Path
from typing import Final, NamedTuple

from personae.endpoints.database import transaction

_RESERVE: Final = "reserve"
_RESERVE_BYTES: Final = 4 * 2**20
_BLOCK: Final = 2**16


class Kept(NamedTuple):
    """A row of the table of answers."""

    key: str
    answer: str
    endpoint: str
    time: float


def save(connection: sqlite3.Connection, rows: Iterable[Kept]) -> None:
    """Write rows into the open transaction; an answer that is there already stays."""
    connection.executemany("INSERT OR IGNORE INTO answers VALUES (?, ?, ?, ?)", rows)


def set_aside(folder: Path) -> None:
    """Reserve disk space, unless that is done or there is none."""
    path = folder / _RESERVE
    try:
        if not path.exists() or path.stat().st_size < _RESERVE_BYTES:
            # Written and not truncated to size: a hole in a file reserves nothing.
            with path.open("wb") as stream:
                for _ in range(_RESERVE_BYTES // _BLOCK):
                    stream.write(bytes(_BLOCK))
    except OSError:
        path.unlink(missing_ok=True)


class Spill:
    """A file of answers that did not fit, of this process alone."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._descriptor: int | None = None

    def write(self, rows: Iterable[Kept]) -> None:
        """Write rows to the end of the file, down to the disk.

        Raises
        ------
        OSError
            When even that does not fit.
        """
        (self._folder / _RESERVE).unlink(missing_ok=True)
        if self._descriptor is None:
            path = self._folder / f"spill-{os.getpid()}-{secrets.token_hex(4)}.jsonl"
            self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
            fcntl.flock(self._descriptor, fcntl.LOCK_EX)
        # A line break in front ends a line that was cut short before.
        text = "\n" + "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        data = text.encode()
        while data:
            data = data[os.write(self._descriptor, data) :]
        os.fsync(self._descriptor)

    def close(self) -> None:
        """Leave the file to the next run."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def take_back(connection: sqlite3.Connection, folder: Path) -> int:
    """Move the answers of abandoned spill files into the database; return how many files."""
    moved = 0
    for path in sorted(folder.glob("spill-*.jsonl")):
        try:
            descriptor = os.open(path, os.O_RDWR)
        except FileNotFoundError:
            continue
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            with transaction(connection):
                save(connection, _rows(path))
            path.unlink(missing_ok=True)
            moved += 1
        except (BlockingIOError, sqlite3.OperationalError):
            continue  # its writer is alive, or the disk is still full: a later run takes it
        finally:
            os.close(descriptor)
    return moved


def _rows(path: Path) -> list[Kept]:
    """Read whole lines; one that was cut short was never acknowledged."""
    rows = []
    # At line feeds alone: JSON leaves other line breaks in an answer as they are.
    for line in path.read_text(encoding="utf-8", errors="replace").split("\n"):
        try:
            rows.append(Kept(*json.loads(line)))
        except (json.JSONDecodeError, TypeError):
            continue
    return rows
