"""The one thread that loads and runs the model, in order of the requests.

Requests never share a batch, so a node's result depends only on its own request.
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
_CLIENT_LEFT = "the client disconnected"
_SHUTTING_DOWN = "the model server is shutting down"


class Frames(Protocol[Item]):
    """Encodes items as bytes of a reply."""

    @property
    def media_type(self) -> str: ...

    def write(self, item: Item) -> bytes: ...

    def failure(self, kind: str, message: str) -> bytes: ...

    def close(self) -> bytes: ...


class ArrowFrames:
    """Encodes batches as an Arrow stream, with the progress every half second."""

    media_type = MEDIA_TYPE

    def __init__(self, schema: pa.Schema) -> None:
        self._writer = FrameWriter(schema)
        self._noted = time.monotonic()

    def write(self, item: pa.RecordBatch | Progress) -> bytes:
        """Return the frame of a batch or of the progress; empty if progress was sent recently."""
        if isinstance(item, pa.RecordBatch):
            return self._writer.write(item)
        if time.monotonic() - self._noted <= _PROGRESS_SECONDS:
            return b""
        self._noted = time.monotonic()
        return self._writer.note(item)

    def failure(self, kind: str, message: str) -> bytes:
        """Return the frame with the reason why the stream ends early."""
        return self._writer.note(FrameError(kind, message))

    def close(self) -> bytes:
        """Return the end of the stream."""
        return self._writer.close()


class DeviceTicket:
    """One request in the queue of the device; another thread can cancel it."""

    def __init__(self) -> None:
        self._why: str | None = None

    def give_up(self, why: str) -> None:
        """Cancel the request: the next `check` raises."""
        self._why = why

    def check(self) -> None:
        """Raise `GivenUpError` if the request was cancelled; called between batches."""
        if self._why is not None:
            raise GivenUpError(self._why)


class Device:
    """Runs work in one thread and measures how long it has been idle."""

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
        """Seconds since the end of the last request; 0 while there is one."""
        return 0.0 if self.is_busy else time.monotonic() - self._last_used

    def submit(self, work: Callable[[], None]) -> None:
        """Run work without a request: loading the model."""

        def turn() -> None:
            with self._ticket():
                work()

        self._thread.submit(turn)

    def give_up_all(self) -> None:
        """Make all requests end at their next batch."""
        for ticket in tuple(self._tickets):
            ticket.give_up(_SHUTTING_DOWN)

    async def run(self, request: Request, work: Callable[[DeviceTicket], T]) -> T:
        """Return the result of ``work``; cancel it if the client disconnects."""

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
        """Return a reply that streams the items that ``work`` emits.

        An error before the first frame is raised here and gets its HTTP status; a later one becomes
        the stream's last frame.
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
            stream = _FrameStream(writer, ticket)

            def turn() -> None:
                ticket.check()
                work(stream.emit)

            result = asyncio.get_running_loop().run_in_executor(self._thread, turn)
            # The loop runs this after everything that was emitted before.
            result.add_done_callback(stream.end)
            begun = False
            while (frame := await stream.queue.get()) is not None:
                begun = True
                yield frame
            error = result.exception()
            if error and not begun:
                raise error
            if error:
                log_failure("during the reply", error)
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
    """Passes frames from the device's thread to the event loop that sends them."""

    def __init__(self, writer: Frames[Item], ticket: DeviceTicket) -> None:
        self._writer, self._ticket = writer, ticket
        self.queue: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._loop = asyncio.get_running_loop()

    def emit(self, item: Item) -> None:
        """Send the frame of an item, if it has one; raise if the request was cancelled."""
        self._ticket.check()
        if frame := self._writer.write(item):
            self._put(frame)

    def end(self, result: asyncio.Future[None]) -> None:
        """Mark the end of the frames; called in the event loop."""
        result.exception()  # marks the error as retrieved, in case no reader is left
        self.queue.put_nowait(None)

    def _put(self, frame: bytes) -> None:
        self._loop.call_soon_threadsafe(self.queue.put_nowait, frame)


async def _is_done(future: asyncio.Future[T]) -> bool:
    """Wait a quarter of a second for a future; return whether it is done."""
    try:
        await asyncio.wait({future}, timeout=_POLL_SECONDS)
    except asyncio.CancelledError:
        # Uvicorn's grace period ended during a batch: the client still gets a clear reply.
        raise GivenUpError(_SHUTTING_DOWN) from None
    return future.done()
