"""How many requests are in flight: one limit for all jobs of a machine.

A slot is a lock on a file: whoever is killed loses it, and no job ever holds more than there are.
Jobs that want slots at the same time share them evenly; what cannot be shared evenly, such as one
slot between two jobs, they use by turns.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import secrets
from collections import deque
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Final, NamedTuple, Self

_LOOK_AGAIN: Final = 0.02  # seconds between two tries to lock a slot that another job holds
_COUNT_AGAIN: Final = 0.5  # seconds between two counts of the jobs
_TURN: Final = 0.5  # seconds for which a job may use a slot that is not its own


class _Held(NamedTuple):
    """A locked slot, and since when (in the loop's time)."""

    descriptor: int
    since: float


class _Share(NamedTuple):
    """How many slots are a job's own, and how many it may use when its turn has come."""

    own: int
    most: int


class Slots:
    """The slots of one endpoint, as one job sees them; an asynchronous context manager.

    Parameters
    ----------
    folder
        Of the endpoint's limits on this machine.
    limit
        Returns how many slots may be used at the moment, on the whole machine.
    """

    def __init__(self, folder: Path, limit: Callable[[], int]) -> None:
        self._folder, self._limit = folder, limit
        self._held: dict[int, _Held] = {}
        self._waiting: deque[asyncio.Future[int]] = deque()
        self._member = -1
        self._jobs = 1
        self._counted = self._abstains = -1.0
        self._looking: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._member = self._join()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        if self._looking:
            self._looking.cancel()
        for descriptor in (*(held.descriptor for held in self._held.values()), self._member):
            os.close(descriptor)
        self._held.clear()

    async def acquire(self) -> int:
        """Wait for a slot and return its number."""
        if not self._waiting and (slot := self._take()) is not None:
            return slot
        turn: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._look())
        try:
            return await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled() and not turn.exception():
                self.release(turn.result())
            raise

    def release(self, slot: int) -> None:
        """Hand a slot to who waits, if this job may keep it, or give it back to the machine."""
        heir = None
        try:
            if self._keeps(slot):
                heir = self._next()
        finally:
            if heir is None:
                os.close(self._held.pop(slot).descriptor)
            else:
                heir.set_result(slot)

    async def _look(self) -> None:
        """Take slots for those who wait, until nobody does."""
        try:
            while self._waiting:
                while self._waiting and (slot := self._take()) is not None:
                    if heir := self._next():
                        heir.set_result(slot)
                    else:
                        os.close(self._held.pop(slot).descriptor)
                await asyncio.sleep(_LOOK_AGAIN)
        except Exception as error:
            # Nobody else looks: who waits has to learn of it.
            while heir := self._next():
                heir.set_exception(error)

    def _next(self) -> asyncio.Future[int] | None:
        """Return who waits longest."""
        while self._waiting:
            if not (turn := self._waiting.popleft()).done():
                return turn
        return None

    def _keeps(self, slot: int) -> bool:
        """Say whether this job may go on using a slot."""
        share, held = self._share(), len(self._held)
        if slot >= self._limit() or held > share.most:
            return False
        now = asyncio.get_running_loop().time()
        if held <= share.own or now - self._held[slot].since < _TURN:
            return True
        self._abstains = now + 2.0 * _LOOK_AGAIN  # so that every other job looks before
        return False

    def _take(self) -> int | None:
        """Lock a free slot, or return None."""
        share, now = self._share(), asyncio.get_running_loop().time()
        if len(self._held) >= (share.own if now < self._abstains else share.most):
            return None
        for slot in range(self._limit()):
            if slot not in self._held:
                descriptor = _lock(self._folder / f"slot-{slot:04d}")
                if descriptor >= 0:
                    self._held[slot] = _Held(descriptor, now)
                    return slot
        return None

    def _share(self) -> _Share:
        """Return this job's share of the slots."""
        now = asyncio.get_running_loop().time()
        if now - self._counted > _COUNT_AGAIN:
            self._counted, self._jobs = now, self._count()
        return _Share(self._limit() // self._jobs, -(-self._limit() // self._jobs))

    def _join(self) -> int:
        """Return a descriptor of the locked file that says that this job lives."""
        while True:
            path = self._folder / f"job-{os.getpid()}-{secrets.token_hex(4)}"
            # Before it is locked, another job may take the new file for one of a dead job: it then
            # holds the lock, or has removed the file.
            descriptor = _lock(path)
            if descriptor >= 0 and path.exists():
                return descriptor
            if descriptor >= 0:
                os.close(descriptor)

    def _count(self) -> int:
        """Count the living jobs, this one among them, and sweep out what dead ones left."""
        living = 1
        own = os.fstat(self._member).st_ino
        for path in self._folder.glob("job-*"):
            try:
                if path.stat().st_ino == own:
                    continue
            except FileNotFoundError:
                continue
            descriptor = _lock(path, create=False)
            if descriptor >= 0:
                path.unlink(missing_ok=True)
                os.close(descriptor)
            else:
                living += path.exists()
        return living


def _lock(path: Path, create: bool = True) -> int:
    """Return a descriptor of the locked file, or -1 where another job holds the lock."""
    flags = os.O_RDWR | (os.O_CREAT if create else 0)
    try:
        descriptor = os.open(path, flags, 0o600)
    except FileNotFoundError:
        if create:
            raise
        return -1
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(descriptor)
        if isinstance(error, BlockingIOError):
            return -1
        raise
    return descriptor
