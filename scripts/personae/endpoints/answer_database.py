"""The SQLite database of answers, of the spending of studies, and of requests being sent.

One database serves all nodes, runs and studies. An answer is used only after it is committed. On a
local disk the database has a write-ahead log (WAL), which survives ``kill -9``. WAL needs shared
memory, so on a network disk a rollback journal is used instead.
"""

from __future__ import annotations

import logging
import secrets
import shutil
import sqlite3
import threading
import time
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, Self

import psutil

from personae.base.process_identity import ProcessIdentity
from personae.endpoints.chat_answer import ChatAnswer
from personae.endpoints.database_errors import DatabaseError, explain
from personae.endpoints.spending import Budget, Charge
from personae.endpoints.stored_answer import from_stored, to_stored

LOG: Final = logging.getLogger("personae")
FILE: Final = "answers.sqlite"
_BUSY_SECONDS: Final = 120.0
_LOOKUP: Final = 500  # keys per query
_ASKER_SECONDS: Final = 60.0  # after which an asker that is not renewed is removed
_LEAST_ROOM: Final = 16 * 2**20  # bytes; more than the outstanding answers need
_LOCAL: Final = frozenset(
    ("ext2", "ext3", "ext4", "xfs", "btrfs", "zfs", "tmpfs", "overlay", "f2fs", "apfs", "ramfs")
)
_TABLES: Final = """
CREATE TABLE IF NOT EXISTS answers (
    key TEXT PRIMARY KEY, answer TEXT NOT NULL, endpoint TEXT NOT NULL, time REAL NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS ledger (
    study TEXT PRIMARY KEY, requests INTEGER NOT NULL DEFAULT 0, cost REAL NOT NULL DEFAULT 0,
    prompt_tokens INTEGER NOT NULL DEFAULT 0, completion_tokens INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS askers (
    asker TEXT PRIMARY KEY, endpoint TEXT NOT NULL, until REAL NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS asked (key TEXT PRIMARY KEY, asker TEXT NOT NULL) WITHOUT ROWID;
"""
_SPEND: Final = """
INSERT INTO ledger VALUES (:study, :requests, :cost, :prompt_tokens, :completion_tokens)
ON CONFLICT (study) DO UPDATE SET requests = requests + :requests, cost = cost + :cost,
    prompt_tokens = prompt_tokens + :prompt_tokens,
    completion_tokens = completion_tokens + :completion_tokens
"""


class AnswerDatabase:
    """A context manager; each object is one asker, such as a node.

    Parameters
    ----------
    folder
        Folder of the database; created if missing.
    wal
        Whether a new database has a write-ahead log; by default if the disk is local.
    """

    def __init__(self, folder: Path, wal: bool | None = None) -> None:
        self.folder = folder
        self._asker = f"{ProcessIdentity.here()} {secrets.token_hex(4)}"
        self._lock = threading.Lock()
        with self._explained():
            folder.mkdir(parents=True, exist_ok=True)
            self._connection = sqlite3.connect(
                folder / FILE, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False
            )
            # A damaged text is told by its checksum.
            self._connection.text_factory = lambda data: data.decode(errors="replace")
            _prepare(self._connection, is_local(folder) if wal is None else wal)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def require_room(self) -> None:
        """Raise `DatabaseError` if the disk is nearly full."""
        if shutil.disk_usage(self.folder).free < _LEAST_ROOM:
            raise DatabaseError(
                f"{self.folder}: the disk is full, so that no answer can be kept and none is asked "
                "for; make room, or correct judging.answers. All answers so far are kept"
            )

    def known(self, keys: Iterable[str], since: float = 0.0) -> dict[str, ChatAnswer]:
        """Return the answers stored under ``keys`` since a time (seconds since 1970).

        Damaged ones are left out, with a warning.
        """
        wanted, found, damaged = list(dict.fromkeys(keys)), dict[str, ChatAnswer](), 0
        for start in range(0, len(wanted), _LOOKUP):
            part = wanted[start : start + _LOOKUP]
            query = f"SELECT key, answer FROM answers WHERE key IN ({_marks(part)}) AND time >= ?"
            for key, text in self._rows(query, [*part, since]):
                if (answer := from_stored(key, text)) is not None:
                    found[key] = answer
                else:
                    damaged += 1
        if damaged:
            LOG.warning("%s: damaged answers (%d) are asked for again", self.folder / FILE, damaged)
        return found

    def spent(self, study: str) -> Charge:
        """Return the requests and cost of a study so far."""
        columns = "requests, cost, prompt_tokens, completion_tokens"
        with self._explained():
            return _charge(self._rows(f"SELECT {columns} FROM ledger WHERE study = ?", [study]))

    def keep(self, key: str, answer: ChatAnswer, endpoint: str, study: str, charge: Charge) -> None:
        """Store an answer and its cost in one transaction."""
        row = (key, to_stored(key, answer), endpoint, time.time())
        with self._transaction() as connection:
            connection.execute("INSERT OR REPLACE INTO answers VALUES (?, ?, ?, ?)", row)
            connection.execute("DELETE FROM asked WHERE key = ?", (key,))
            connection.execute(_SPEND, {"study": study, **vars(charge)})

    def forget(self, endpoint: str, texts: Collection[str]) -> int:
        """Delete the answers of an endpoint that have one of these texts; return their number."""
        with self._transaction() as connection:
            query = "SELECT key, answer FROM answers WHERE endpoint = ?"
            rows = connection.execute(query, (endpoint,)).fetchall()
            read = ((key, from_stored(key, text)) for key, text in rows)
            keys = [(key,) for key, answer in read if answer and answer.text in texts]
            connection.executemany("DELETE FROM answers WHERE key = ?", keys)
            return len(keys)

    def reserve(self, study: str, cost: float, budget: Budget) -> bool:
        """Charge a request of at most ``cost``; return False if that would exceed the budget."""
        with self._transaction() as connection:
            query = "SELECT requests, cost FROM ledger WHERE study = ?"
            spent = _charge(connection.execute(query, (study,)).fetchall())
            if not budget.allows(spent, cost):
                return False
            connection.execute(_SPEND, {"study": study, **vars(Charge(1, cost))})
            return True

    def settle(self, study: str, charge: Charge) -> None:
        """Add to the spending of a study; negative where the cost is below the reservation."""
        with self._transaction() as connection:
            connection.execute(_SPEND, {"study": study, **vars(charge)})

    def join(self, endpoint: str) -> int:
        """Register this asker at an endpoint, and return how many there are.

        Call it repeatedly: an asker is removed when its process ends or after a minute.
        """
        now = time.time()
        with self._transaction() as connection:
            connection.execute(
                "INSERT OR REPLACE INTO askers VALUES (?, ?, ?)",
                (self._asker, endpoint, now + _ASKER_SECONDS),
            )
            rows = connection.execute("SELECT asker, until FROM askers").fetchall()
            gone = [(name,) for name, until in rows if until < now or _has_ended(name)]
            connection.executemany("DELETE FROM askers WHERE asker = ?", gone)
            query = "SELECT COUNT(*) FROM askers WHERE endpoint = ?"
            return int(connection.execute(query, (endpoint,)).fetchone()[0])

    def claim(self, keys: Sequence[str]) -> set[str]:
        """Return the ``keys`` that this asker may send; other askers are sending the rest."""
        rows = [(key, self._asker) for key in keys]
        with self._transaction() as connection:
            connection.execute("DELETE FROM asked WHERE asker NOT IN (SELECT asker FROM askers)")
            connection.executemany("INSERT OR IGNORE INTO asked VALUES (?, ?)", rows)
            query = "SELECT key FROM asked WHERE asker = ?"
            return {key for (key,) in connection.execute(query, (self._asker,))} & set(keys)

    def leave(self) -> None:
        """Remove this asker and its claims."""
        with self._transaction() as connection:
            for table in ("askers", "asked"):
                connection.execute(f"DELETE FROM {table} WHERE asker = ?", (self._asker,))

    def _rows(self, query: str, values: Sequence[str | float]) -> list[Any]:
        with self._explained(), self._lock:
            return self._connection.execute(query, values).fetchall()

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        """Run a block as one transaction."""
        with self._explained(), self._lock:
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError, UnicodeDecodeError) as error:
            raise DatabaseError(explain(self.folder / FILE, error)) from None


def _charge(rows: Sequence[Any]) -> Charge:
    """Return the spending in the row of a study, if there is one."""
    if any(not isinstance(value, int | float) for row in rows for value in row):
        raise sqlite3.DatabaseError("the spending of a study is no number")
    return Charge(*rows[0]) if rows else Charge()


def _marks(values: Sequence[object]) -> str:
    return ",".join("?" * len(values))


def _prepare(connection: sqlite3.Connection, wal: bool) -> None:
    """Choose the journal of a new database and create the tables; an old one keeps its journal."""
    if not wal:
        # With exclusive access a WAL can be read without shared memory and turned into a journal.
        connection.execute("PRAGMA locking_mode=EXCLUSIVE")
        connection.execute("PRAGMA journal_mode=DELETE")
        connection.execute("PRAGMA locking_mode=NORMAL")
    elif not connection.execute("PRAGMA schema_version").fetchone()[0]:
        connection.execute("PRAGMA journal_mode=WAL")
    has_log = connection.execute("PRAGMA journal_mode").fetchone()[0] == "wal"
    # A rollback journal that is not synced can corrupt the file; a write-ahead log cannot.
    connection.execute(f"PRAGMA synchronous={'NORMAL' if has_log else 'FULL'}")
    connection.executescript(_TABLES)


def is_local(folder: Path) -> bool:
    """Return whether a folder is on a local disk, judged by the type of its file system."""
    here = folder.absolute()
    mounts = [m for m in psutil.disk_partitions(all=True) if here.is_relative_to(m.mountpoint)]
    # The last mount at a place is the visible one.
    return bool(mounts) and max(reversed(mounts), key=lambda m: len(m.mountpoint)).fstype in _LOCAL


def _has_ended(asker: str) -> bool:
    return ProcessIdentity.parse(asker.rpartition(" ")[0]).is_gone
