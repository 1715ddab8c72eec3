"""Every answer that was ever paid for, by a hash of what determines it; and what studies spent.

One database serves all nodes, runs and studies. An answer is written before it counts. With a
write-ahead log that takes a tenth of a millisecond and is done at once; where every transaction has
to reach the disk, a thread writes, and puts everything that waits into one transaction.
"""

from __future__ import annotations

import asyncio
import queue
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any, Final, Self

from personae.base.errors import PersonaeError
from personae.base.process_identity import ProcessIdentity
from personae.endpoints.answers import Answer, Budget, Charge
from personae.endpoints.database import connect, has_log, journal_mode, transaction
from personae.endpoints.write_overflow import Kept, Spill, save, set_aside, take_back

_AT_ONCE: Final = 256
_LOOKUP: Final = 500  # keys per query
_CLAIM_SECONDS: Final = 60.0
_SPEND: Final = """
INSERT INTO ledger VALUES (:study, :requests, :cost, :prompt_tokens, :completion_tokens)
ON CONFLICT (study) DO UPDATE SET requests = requests + :requests, cost = cost + :cost,
    prompt_tokens = prompt_tokens + :prompt_tokens,
    completion_tokens = completion_tokens + :completion_tokens
"""

Operation = Callable[[sqlite3.Connection], Any]


class StoreError(PersonaeError):
    """Answers cannot be kept; nothing more may be asked."""


class AnswerStore:
    """A context manager; its methods may be called from any thread or task.

    Parameters
    ----------
    folder
        Where the database lies.
    journal
        ``WAL`` or ``DELETE``, of a new database; by default what suits the disk.
    """

    def __init__(self, folder: Path, journal: str | None = None) -> None:
        self.folder = folder
        self._spill = Spill(folder)
        self._owner = ProcessIdentity.here()
        try:
            self._connection = connect(folder, journal or journal_mode(folder))
            set_aside(folder)
            take_back(self._connection, folder)
        except (sqlite3.Error, OSError) as error:
            raise StoreError(_words(folder, error)) from None
        self._waiting: queue.SimpleQueue[tuple[Operation, Future[Any]] | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        if not has_log(self._connection):
            self._thread = threading.Thread(target=self._write, name="answers", daemon=True)
            self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Write what waits, and close."""
        if self._thread:
            self._waiting.put(None)
            self._thread.join()
        self._connection.close()
        self._spill.close()

    def known(self, keys: Iterable[str]) -> dict[str, Answer]:
        """Return the answers that are kept under ``keys``."""
        wanted, found = list(dict.fromkeys(keys)), {}
        for start in range(0, len(wanted), _LOOKUP):
            part = wanted[start : start + _LOOKUP]
            marks = ",".join("?" * len(part))
            rows = self._rows(f"SELECT key, answer FROM answers WHERE key IN ({marks})", part)
            found.update({key: Answer.from_json(text) for key, text in rows})
        return found

    def spent(self, study: str) -> Charge:
        """Return what a study has sent and paid so far."""
        columns = "requests, cost, prompt_tokens, completion_tokens"
        rows = self._rows(f"SELECT {columns} FROM ledger WHERE study = ?", (study,))
        return Charge(*rows[0]) if rows else Charge()

    async def keep(
        self, key: str, answer: Answer, endpoint: str, charged: tuple[str, Charge] | None = None
    ) -> None:
        """Write an answer, and what a study owes for it; they are written when this returns.

        Raises
        ------
        StoreError
            When the database could not take it. It then lies in a spill file.
        """
        row = Kept(key, answer.to_json(), endpoint, time.time())

        def write(connection: sqlite3.Connection) -> None:
            save(connection, [row])
            connection.execute("DELETE FROM claims WHERE key = ?", (key,))
            if charged:
                _spend(connection, *charged)

        try:
            await self._submit(write)
        except (sqlite3.Error, OSError) as error:
            raise StoreError(self._put_aside(row, error)) from None

    async def reserve(self, study: str, cost: float, budget: Budget) -> bool:
        """Enter a request that costs at most ``cost``; False when that would exceed the budget."""

        def write(connection: sqlite3.Connection) -> bool:
            row = connection.execute(
                "SELECT requests, cost FROM ledger WHERE study = ?", (study,)
            ).fetchone()
            requests, paid = row or (0, 0.0)
            over = budget.requests is not None and requests + 1 > budget.requests
            # A cost that rounding errors put above the budget is within it.
            if over or (budget.cost is not None and paid + cost > budget.cost * (1 + 1e-12)):
                return False
            _spend(connection, study, Charge(1, cost))
            return True

        return bool(await self._guarded(write))

    async def settle(self, study: str, charge: Charge) -> None:
        """Add to what a study has sent and paid; negative where less was due than reserved."""
        await self._guarded(lambda connection: _spend(connection, study, charge))

    async def claim(self, keys: Sequence[str]) -> set[str]:
        """Return those of ``keys`` that this process may ask; others are being asked elsewhere.

        A claim ends with its answer, with `release`, with its process, or after a minute in which
        it was not renewed.
        """

        def write(connection: sqlite3.Connection) -> set[str]:
            now = time.time()
            held = dict(connection.execute("SELECT key, owner FROM claims WHERE until > ?", (now,)))
            gone = {name for name in set(held.values()) if ProcessIdentity.parse(name).is_gone}
            me = str(self._owner)
            free = [k for k in keys if k not in held or held[k] in gone or held[k] == me]
            connection.executemany(
                "INSERT OR REPLACE INTO claims VALUES (?, ?, ?)",
                [(key, me, now + _CLAIM_SECONDS) for key in free],
            )
            return set(free)

        return set(await self._guarded(write))

    async def renew(self) -> None:
        """Renew all claims of this process."""
        await self._guarded(
            lambda connection: connection.execute(
                "UPDATE claims SET until = ? WHERE owner = ?",
                (time.time() + _CLAIM_SECONDS, str(self._owner)),
            )
        )

    async def release(self, keys: Iterable[str]) -> None:
        """Give up the claims of this process to ``keys``."""
        rows = [(key, str(self._owner)) for key in keys]
        await self._guarded(
            lambda connection: connection.executemany(
                "DELETE FROM claims WHERE key = ? AND owner = ?", rows
            )
        )

    def _rows(self, query: str, values: Sequence[str]) -> list[Any]:
        try:
            with self._lock:
                return self._connection.execute(query, values).fetchall()
        except sqlite3.Error as error:
            raise StoreError(_words(self.folder, error)) from None

    async def _guarded(self, operation: Operation) -> Any:
        try:
            return await self._submit(operation)
        except (sqlite3.Error, OSError) as error:
            raise StoreError(_words(self.folder, error)) from None

    async def _submit(self, operation: Operation) -> Any:
        if self._thread is None:
            with self._lock, transaction(self._connection) as connection:
                return operation(connection)
        done: Future[Any] = Future()
        self._waiting.put((operation, done))
        return await asyncio.shield(asyncio.wrap_future(done))

    def _put_aside(self, row: Kept, error: Exception) -> str:
        try:
            with self._lock:
                self._spill.write([row])
        except OSError:
            return f"{_words(self.folder, error)}; the answer {row.key[:12]} is lost"
        return _words(self.folder, error)

    def _write(self) -> None:
        """Write what waits, until told to end."""
        while (first := self._waiting.get()) is not None:
            batch, ending = [first], False
            while len(batch) < _AT_ONCE and not self._waiting.empty():
                if (item := self._waiting.get()) is None:
                    ending = True
                    break
                batch.append(item)
            self._run(batch)
            if ending:
                return

    def _run(self, batch: Sequence[tuple[Operation, Future[Any]]]) -> None:
        try:
            with self._lock, transaction(self._connection) as connection:
                results = [operation(connection) for operation, _ in batch]
        except Exception as error:
            for _, done in batch:
                done.set_exception(error)
            return
        for (_, done), result in zip(batch, results, strict=True):
            done.set_result(result)


def _spend(connection: sqlite3.Connection, study: str, charge: Charge) -> None:
    connection.execute(_SPEND, {"study": study, **vars(charge)})


def _words(folder: Path, error: Exception) -> str:
    return (
        f"{folder}: answers cannot be kept ({error}), so that none is asked for; make room on the "
        "disk, or correct judging.answers. What was answered is not lost: run again"
    )
