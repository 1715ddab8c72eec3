"""How fast one node asks an endpoint: requests in flight, limits per minute, and pauses."""

from __future__ import annotations

import asyncio
import random
from collections import deque
from typing import Final

from aiolimiter import AsyncLimiter

from personae.endpoints.endpoint_settings import Endpoint

_FIRST_PAUSE: Final = 0.5  # seconds, after a refusal that names no time
_LONGEST_PAUSE: Final = 60.0


class RequestLimits:
    """Bounds the requests of one node, which uses its share of the endpoint's limits.

    When the endpoint has too many requests, all requests pause for as long as it asks, or for twice
    as long as the time before. The number of requests in flight is halved, and grows by one with
    every round of answers.
    """

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._in_flight, self._allowed = 0, float(endpoint.concurrency)
        self._paused_until = self._refused_at = float("-inf")
        self._refusals, self._completion_tokens, self._nodes = 0, 0.0, 0
        self.share_with(1)

    def share_with(self, nodes: int) -> None:
        """Use an equal share of the limits: so many nodes ask the endpoint."""
        if nodes == self._nodes:  # a new limiter would let out another burst
            return
        self._nodes = nodes
        self._most = max(1, self._endpoint.concurrency // nodes)
        self._requests = _per_minute(self._endpoint.requests_per_minute, nodes)
        self._tokens = _per_minute(self._endpoint.tokens_per_minute, nodes)
        self._wake()

    @property
    def concurrency(self) -> int:
        """How many requests may be in flight now."""
        return max(1, min(self._most, int(self._allowed)))

    @property
    def pause(self) -> float:
        """Seconds for which nothing may be sent."""
        return max(0.0, self._paused_until - asyncio.get_running_loop().time())

    async def begin(self, prompt_tokens: float, max_tokens: float) -> float:
        """Wait until a request may be sent, and return the time; `end` must follow."""
        await self._take_slot()
        try:
            if self._requests:
                await self._requests.acquire()
            if self._tokens:
                await self._take_tokens(prompt_tokens + (self._completion_tokens or max_tokens))
            while self.pause:
                await asyncio.sleep(self.pause)
        except BaseException:
            self.end()
            raise
        return asyncio.get_running_loop().time()

    async def _take_slot(self) -> None:
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        self._wake()
        try:
            await turn
        except asyncio.CancelledError:
            if not turn.cancelled():
                self.end()
            raise

    async def _take_tokens(self, tokens: float) -> None:
        limiter = self._tokens
        while limiter and tokens > 0.0:  # in pieces: a limiter lets out no more at once
            piece = min(tokens, limiter.max_rate)
            await limiter.acquire(piece)
            tokens -= piece

    def end(self) -> None:
        """Let the next request be sent."""
        self._in_flight -= 1
        self._wake()

    def answered(self, began: float, completion_tokens: int | None) -> None:
        """Speed up, unless the request was sent before the last refusal."""
        if completion_tokens is not None:
            mean = self._completion_tokens or completion_tokens
            self._completion_tokens = mean + (completion_tokens - mean) / 20.0
        if began >= self._refused_at:
            self._refusals = 0
            self._allowed = min(self._endpoint.concurrency, self._allowed + 1.0 / self._allowed)
            self._wake()

    def refused(self, began: float, retry_after: float | None) -> None:
        """Slow down. Refusals of requests that were sent together count once."""
        now = asyncio.get_running_loop().time()
        pause = retry_after or 0.0
        if began >= self._refused_at:
            own = min(_LONGEST_PAUSE, _FIRST_PAUSE * 2.0 ** min(self._refusals, 30))
            pause = max(pause, own * random.uniform(0.5, 1.0))
            self._refused_at, self._refusals = now, self._refusals + 1
            self._allowed = max(1.0, min(self._allowed, self._most) / 2.0)
        self._paused_until = max(self._paused_until, now + pause)

    def _wake(self) -> None:
        while self._waiting and self._in_flight < self.concurrency:
            if not (turn := self._waiting.popleft()).done():
                self._in_flight += 1
                turn.set_result(None)


def _per_minute(limit: int | None, nodes: int) -> AsyncLimiter | None:
    """Return a limiter of which no minute sees more than the limit."""
    if limit is None:
        return None
    # A second's worth may go out at once, in addition to what goes out steadily.
    per_second = limit / nodes / 61.0
    return AsyncLimiter(max(1.0, per_second), max(1.0, 1.0 / per_second))
