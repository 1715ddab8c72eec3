"""The SQLite file of answers: opened for many writers at once, on local and shared disks.

Writers wait for each other. On a local disk the write-ahead log lets readers go on meanwhile and
survives ``kill -9``; it needs shared memory, which machines that share a network disk do not have,
so that there the classic rollback journal is used. Which it is, is written in the file: the machine
whose disk it is sees a local one where others see the network, and all must use the same.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

FILE: Final = "answers.sqlite"
_BUSY_SECONDS: Final = 120.0
_LOCAL: Final = frozenset(
    ("ext2", "ext3", "ext4", "xfs", "btrfs", "zfs", "tmpfs", "overlay", "f2fs", "apfs", "ramfs")
)
_TABLES: Final = """
CREATE TABLE IF NOT EXISTS answers (
    key TEXT PRIMARY KEY, answer TEXT NOT NULL, endpoint TEXT NOT NULL, time REAL NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS claims (
    key TEXT PRIMARY KEY, owner TEXT NOT NULL, until REAL NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS ledger (
    study TEXT PRIMARY KEY, requests INTEGER NOT NULL DEFAULT 0, cost REAL NOT NULL DEFAULT 0,
    prompt_tokens INTEGER NOT NULL DEFAULT 0, completion_tokens INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;
"""


def connect(folder: Path, mode: str) -> sqlite3.Connection:
    """Open the file in ``folder``, made if need be; transactions are begun by hand.

    Parameters
    ----------
    folder
        Where it lies.
    mode
        The journal of a new file, ``WAL`` or ``DELETE``; see `journal_mode`. A file that has a
        rollback journal keeps it; one with a log is given a journal where ``mode`` is ``DELETE``,
        for good.

    Raises
    ------
    sqlite3.Error, OSError
        When it cannot be opened.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with _opening(folder):
        connection = sqlite3.connect(
            folder / FILE, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False
        )
        try:
            logs = _settle(connection, mode)
            # A rollback journal that is not synced can corrupt the file; the log of WAL cannot.
            connection.execute(f"PRAGMA synchronous={'NORMAL' if logs else 'FULL'}")
            connection.executescript(_TABLES)
        except BaseException:
            connection.close()
            raise
    return connection


def has_log(connection: sqlite3.Connection) -> bool:
    """Say whether a database has a write-ahead log."""
    return bool(connection.execute("PRAGMA journal_mode").fetchone()[0] == "wal")


def _settle(connection: sqlite3.Connection, mode: str) -> bool:
    """Find or choose the journal of a database, and return whether it is a log."""
    if mode == "WAL":
        if not connection.execute("PRAGMA schema_version").fetchone()[0]:
            connection.execute("PRAGMA journal_mode=WAL")
        return has_log(connection)
    # Alone, a log is read without shared memory; who has it open with some keeps others out.
    connection.execute("PRAGMA locking_mode=EXCLUSIVE")
    try:
        connection.execute("PRAGMA journal_mode=DELETE")
    except sqlite3.OperationalError as error:
        raise sqlite3.OperationalError(
            f"{error}: jobs on the machine whose disk it is use it with a write-ahead log, which "
            "the network does not carry; wait for their end once"
        ) from None
    connection.execute("PRAGMA locking_mode=NORMAL")
    return False


def journal_mode(folder: Path) -> str:
    """Return the journal that suits the disk on which ``folder`` lies."""
    return "WAL" if filesystem(folder) in _LOCAL else "DELETE"


def filesystem(folder: Path) -> str:
    """Return the type of the file system of ``folder``; empty where it cannot be told."""
    here = str(folder.resolve())
    try:
        lines = Path("/proc/self/mounts").read_text(encoding="utf-8").splitlines()
    except OSError:
        return ""
    best, kind = "", ""
    for line in lines:
        _, place, name, *_ = line.split(" ")
        place = place.replace("\\040", " ")
        inside = here == place or here.startswith(place.rstrip("/") + "/")
        # The last of equal mounts hides the earlier ones.
        if inside and len(place) >= len(best):
            best, kind = place, name
    return kind


@contextmanager
def _opening(folder: Path) -> Iterator[None]:
    """Let one process at a time open the file: changing the journal admits no other."""
    lock = os.open(folder / "opening.lock", os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    """Write all of a block or nothing of it."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield connection
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
