"""What is wrong with the database of answers: it is damaged, or its disk is."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path
from typing import Final

from personae.base.errors import PersonaeError

_DISK: Final = frozenset(
    (
        sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM,
        sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_NOLFS, sqlite3.SQLITE_NOMEM,
    )
)  # fmt: skip


class DatabaseError(PersonaeError):
    """Answers cannot be stored, so no request may be sent."""


def _is_damaged(file: Path, error: Exception) -> bool:
    """Tell damage of the database from a disk that is full, read-only or out of reach."""
    if isinstance(error, OSError):
        return False
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT) & 0xFF
    if code == sqlite3.SQLITE_READONLY:  # as a damaged header says too
        return os.access(file, os.W_OK) and os.access(file.parent, os.W_OK)
    return code not in _DISK


def explain(file: Path, error: Exception) -> str:
    """Return one line: the file or its folder, what is wrong, and what to do."""
    if _is_damaged(file, error):
        return (
            f"{file}: the database of answers is damaged ({error}); restore a copy, or "
            "move it away, and its answers are asked for again"
        )
    return (
        f"{file.parent}: answers cannot be kept ({error}), so that none is asked for; make room on "
        "the disk, or correct judging.answers. All answers so far are kept: run again"
    )
