"""A request's turn: from when it may go out until its answer is here."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Final

from personae.endpoints.answers import Answer
from personae.endpoints.concurrency_slots import Slots

_ASIDE: Final = 0.005  # seconds, long enough for a request to go out
_MOST_APART: Final = 0.004  # seconds, several times what a request costs this process
_NEWEST: Final = 0.05  # weight of the newest distance in their mean


class Spacing:
    """How long a request waits so as not to go out together with the one before.

    Requests that go out together come back together, time and again, and each of them then waits
    for the work of all the others. They are kept half of their mean distance apart, so that this
    never bounds how many there are.
    """

    def __init__(self) -> None:
        self._last = -math.inf
        self._mean = _MOST_APART

    def delay(self, now: float) -> float:
        """Return the seconds for which a request that is ready ``now`` has to wait."""
        at = max(now, self._last + min(_MOST_APART, self._mean / 2.0))
        self._mean += _NEWEST * (min(at - self._last, 1.0) - self._mean)
        self._last = at
        return at - now


class Turn:
    """One slot, held while a request is on the wire.

    A request waits for its turn when it is ready to go, and its turn ends before anything is done
    with its answer but to begin writing it down: what else there is to do for a request takes a
    millisecond, in which the slot would rest.

    Parameters
    ----------
    slots
        Of the endpoint.
    spacing
        Of the batch.
    admit
        Called with the slot in hand: waits until limits and budget allow the request; what it
        raises calls the request off.
    keep
        Writes the answer down; begun before the next request goes out.

    Attributes
    ----------
    began
        When the request went out, in seconds since 1970.
    """

    def __init__(
        self,
        slots: Slots,
        spacing: Spacing,
        admit: Callable[[], Awaitable[None]],
        keep: Callable[[Answer], Coroutine[Any, Any, None]],
    ) -> None:
        self._slots, self._spacing, self._admit, self._keep = slots, spacing, admit, keep
        self._slot: int | None = None
        self.began = 0.0

    async def begin(self) -> None:
        """Wait for a slot and for admission; a redirected request goes on in its turn."""
        if self._slot is None:
            self._slot = await self._slots.acquire()
            if delay := self._spacing.delay(asyncio.get_running_loop().time()):
                await asyncio.sleep(delay)
            await self._admit()
            self.began = time.time()

    async def finish(self, answer: Answer) -> None:
        """Keep the answer, end the turn, and go on when who waited for the slot has sent."""
        # A task runs before those that are woken after it was made: written first, sent then.
        kept = asyncio.create_task(self._keep(answer))
        try:
            self.end()
            await asyncio.sleep(_ASIDE)
        finally:
            await kept

    def end(self) -> None:
        """Hand the slot on, if that was not done before."""
        if self._slot is not None:
            slot, self._slot = self._slot, None
            self._slots.release(slot)
