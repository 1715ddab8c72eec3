"""The one thread in which the model is loaded and runs: first come, first served.

Requests never share a batch, so a node's result depends on its own request alone.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing, contextmanager
from typing import Generic, Protocol, TypeVar

import pyarrow as pa
from fastapi import Request
from fastapi.responses import StreamingResponse

from personae.api.arrow_stream import MEDIA_TYPE, FrameError, FrameWriter, Progress
from personae.inference.server.http_errors import GivenUpError, log_failure, one_line

T = TypeVar("T")
Item = TypeVar("Item", contravariant=True)
Emit = Callable[[pa.RecordBatch | Progress], None]

_POLL_SECONDS = 0.25
_PROGRESS_SECONDS = 0.5
_CLIENT_LEFT = "the client left"
_TOLD_TO_END = "the model server was told to end"


class Frames(Protocol[Item]):
    """How items become bytes of a reply."""

    @property
    def media_type(self) -> str: ...

    def write(self, item: Item) -> bytes: ...

    def failure(self, kind: str, message: str) -> bytes: ...

    def close(self) -> bytes: ...


class ArrowFrames:
    """Batches of an Arrow stream, and now and then the progress."""

    media_type = MEDIA_TYPE

    def __init__(self, schema: pa.Schema) -> None:
        self._writer = FrameWriter(schema)
        self._told = time.monotonic()

    def write(self, item: pa.RecordBatch | Progress) -> bytes:
        """Return a batch's frame, or the progress's, or nothing if it was told a moment ago."""
        if isinstance(item, pa.RecordBatch):
            return self._writer.write(item)
        if time.monotonic() - self._told <= _PROGRESS_SECONDS:
            return b""
        self._told = time.monotonic()
        return self._writer.note(item)

    def failure(self, kind: str, message: str) -> bytes:
        """Return the frame that says why the stream ends early."""
        return self._writer.note(FrameError(kind, message))

    def close(self) -> bytes:
        """Return the stream's end."""
        return self._writer.close()


class DeviceTicket:
    """One request's turn on the device, which may be given up from another thread."""

    def __init__(self) -> None:
        self._why: str | None = None

    def give_up(self, why: str) -> None:
        """Make the next `check` raise."""
        self._why = why

    def check(self) -> None:
        """Raise `GivenUpError` if the work was given up; called between batches."""
        if self._why is not None:
            raise GivenUpError(self._why)


class Device:
    """Runs work in one thread, and knows how long it has had none."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="device")
        self._tickets: set[DeviceTicket] = set()
        self._last_used = time.monotonic()

    @property
    def is_busy(self) -> bool:
        """Whether a request is running, waiting or being answered."""
        return bool(self._tickets)

    @property
    def idle_seconds(self) -> float:
        """How long ago the last request was over."""
        return 0.0 if self.is_busy else time.monotonic() - self._last_used

    def submit(self, work: Callable[[], None]) -> None:
        """Run work that belongs to no request: loading the model."""

        def turn() -> None:
            with self._ticket():
                work()

        self._thread.submit(turn)

    def give_up_all(self) -> None:
        """Make all requests end at their next batch."""
        for ticket in tuple(self._tickets):
            ticket.give_up(_TOLD_TO_END)

    async def run(self, request: Request, work: Callable[[DeviceTicket], T]) -> T:
        """Return ``work``'s result; give it up if the client leaves."""

        def turn() -> T:
            ticket.check()
            return work(ticket)

        with self._ticket() as ticket:
            result = asyncio.get_running_loop().run_in_executor(self._thread, turn)
            while not await _is_done(result):
                if await request.is_disconnected():
                    ticket.give_up(_CLIENT_LEFT)
            return result.result()

    async def stream(
        self, request: Request, schema: pa.Schema, work: Callable[[Emit], None]
    ) -> StreamingResponse:
        """Return a reply in Arrow batches of ``schema``, see `stream_as`."""
        return await self.stream_as(request, ArrowFrames(schema), work)

    async def stream_as(
        self, request: Request, writer: Frames[Item], work: Callable[[Callable[[Item], None]], None]
    ) -> StreamingResponse:
        """Return a reply that sends on what ``work`` emits, as it emits it.

        An error before the first frame is raised here and gets a proper HTTP status; a later one
        becomes the stream's last frame.
        """
        frames = self._frames(writer, work)
        first = asyncio.ensure_future(anext(frames))
        while not await _is_done(first):
            if await request.is_disconnected():
                first.cancel()
        if first.cancelled():
            raise GivenUpError(_CLIENT_LEFT)
        head = first.result()

        async def body() -> AsyncIterator[bytes]:
            async with aclosing(frames):
                yield head
                async for frame in frames:
                    yield frame

        return StreamingResponse(body(), media_type=writer.media_type)

    async def _frames(
        self, writer: Frames[Item], work: Callable[[Callable[[Item], None]], None]
    ) -> AsyncGenerator[bytes, None]:
        """Yield the frames that ``work`` emits in the device's thread, then the stream's end."""
        with self._ticket() as ticket:
            outlet = _FrameStream(writer, ticket)

            def turn() -> None:
                ticket.check()
                work(outlet.emit)

            result = asyncio.get_running_loop().run_in_executor(self._thread, turn)
            # The loop runs this after all that was emitted before.
            result.add_done_callback(outlet.end)
            begun = False
            while (frame := await outlet.queue.get()) is not None:
                begun = True
                yield frame
            error = result.exception()
            if error and not begun:
                raise error
            if error:
                log_failure("half-way", error)
                yield writer.failure(type(error).__name__, one_line(error))
            yield writer.close()

    @contextmanager
    def _ticket(self) -> Iterator[DeviceTicket]:
        ticket = DeviceTicket()
        self._tickets.add(ticket)
        try:
            yield ticket
        finally:
            ticket.give_up(_CLIENT_LEFT)
            self._tickets.discard(ticket)
            self._last_used = time.monotonic()


class _FrameStream(Generic[Item]):
    """Carries frames from the device's thread to the event loop that sends them."""

    def __init__(self, writer: Frames[Item], ticket: DeviceTicket) -> None:
        self._writer, self._ticket = writer, ticket
        self.queue: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._loop = asyncio.get_running_loop()

    def emit(self, item: Item) -> None:
        """Send what is made of an item, if anything; raise if the work was given up."""
        self._ticket.check()
        if frame := self._writer.write(item):
            self._put(frame)

    def end(self, result: asyncio.Future[None]) -> None:
        """Mark the end of what was emitted; called in the event loop."""
        result.exception()  # counts as noticed, should nobody be left to raise it to
        self.queue.put_nowait(None)

    def _put(self, frame: bytes) -> None:
        self._loop.call_soon_threadsafe(self.queue.put_nowait, frame)


async def _is_done(future: asyncio.Future[T]) -> bool:
    """Wait a moment for a future; tell whether it is done."""
    try:
        await asyncio.wait({future}, timeout=_POLL_SECONDS)
    except asyncio.CancelledError:
        # Uvicorn's grace is over in the middle of a batch: the client still gets a clear reply.
        raise GivenUpError(_TOLD_TO_END) from None
    return future.done()
