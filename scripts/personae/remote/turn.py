"""A request's turn: from when it may go out until its answer is here."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Final

from personae.remote.answers import Answer
from personae.remote.slots import Slots

_ASIDE: Final = 0.005  # seconds, long enough for a request to go out


class Turn:
    """One slot, held while a request is on the wire.

    A request waits for its turn when it is ready to go, and its turn ends before anything is done
    with its answer but to begin writing it down: what else there is to do for a request takes a
    millisecond, in which the slot would rest.

    Parameters
    ----------
    slots
        Of the endpoint.
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
        admit: Callable[[], Awaitable[None]],
        keep: Callable[[Answer], Coroutine[Any, Any, None]],
    ) -> None:
        self._slots, self._admit, self._keep = slots, admit, keep
        self._slot: int | None = None
        self.began = 0.0

    async def begin(self) -> None:
        """Wait for a slot and for admission; a redirected request goes on in its turn."""
        if self._slot is None:
            self._slot = await self._slots.acquire()
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
