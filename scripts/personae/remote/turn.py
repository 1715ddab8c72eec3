"""A request's turn: from when it may go out until its reply is here."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from personae.remote.slots import Slots

_ASIDE: Final = 0.005  # seconds, long enough for a request to go out


class Turn:
    """One slot, held while a request is on the wire.

    A request waits for its turn when it is ready to go, and its turn ends before anything is done
    with the reply: to make a request and to keep an answer takes a millisecond, in which the slot
    would rest.

    Parameters
    ----------
    slots
        Of the endpoint.
    admit
        Called with the slot in hand: waits until limits and budget allow the request; what it
        raises calls the request off.
    """

    def __init__(self, slots: Slots, admit: Callable[[], Awaitable[None]]) -> None:
        self._slots, self._admit = slots, admit
        self._slot: int | None = None

    async def begin(self) -> None:
        """Wait for a slot and for admission; a redirected request goes on in its turn."""
        if self._slot is None:
            self._slot = await self._slots.acquire()
            await self._admit()

    async def step_aside(self) -> None:
        """End the turn, and let who has waited for the slot send before going on."""
        self.end()
        await asyncio.sleep(_ASIDE)

    def end(self) -> None:
        """Hand the slot on, if that was not done before."""
        if self._slot is not None:
            self._slots.release(self._slot)
            self._slot = None
