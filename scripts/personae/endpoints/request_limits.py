"""Limits on the requests of one node: in flight, per minute, and pauses."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from aiolimiter import AsyncLimiter
from anyio import CapacityLimiter

from personae.endpoints.endpoint_settings import Endpoint

_FIRST_PAUSE: Final = 0.5  # seconds, after a refusal that names no time
_LONGEST_PAUSE: Final = 60.0


class RequestLimits:
    """Bounds the requests of one node, which uses its share of the endpoint's limits.

    When the endpoint asks to slow down, all requests pause for as long as it asks, or for twice
    the previous pause. The number of requests in flight is halved, and grows by one with every
    round of answers.
    """

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._slots = CapacityLimiter(endpoint.concurrency)
        self._allowed = float(endpoint.concurrency)
        self._paused_until = self._refused_at = float("-inf")
        self._refusals, self._completion_tokens, self._nodes = 0, 0.0, 0
        self.share_with(1)

    def share_with(self, nodes: int) -> None:
        """Use an equal share of the limits among ``nodes`` nodes."""
        if nodes == self._nodes:  # a new limiter would allow another burst
            return
        self._nodes = nodes
        self._requests = _per_minute(self._endpoint.requests_per_minute, nodes)
        self._tokens = _per_minute(self._endpoint.tokens_per_minute, nodes)
        self._set_slots()

    @property
    def concurrency(self) -> int:
        """Number of requests that may be in flight now."""
        return int(self._slots.total_tokens)

    @property
    def pause(self) -> float:
        """Remaining seconds of the pause."""
        return max(0.0, self._paused_until - asyncio.get_running_loop().time())

    @asynccontextmanager
    async def slot(self, prompt_tokens: float, max_tokens: float) -> AsyncIterator[float]:
        """Hold a slot for one request; yields, when it may be sent, the time of the event loop."""
        async with self._slots:
            if self._requests:
                await self._requests.acquire()
            if self._tokens:
                await self._take_tokens(prompt_tokens + (self._completion_tokens or max_tokens))
            while self.pause:
                await asyncio.sleep(self.pause)
            yield asyncio.get_running_loop().time()

    async def _take_tokens(self, tokens: float) -> None:
        limiter = self._tokens
        while limiter and tokens > 0.0:  # in pieces, since a limiter has a maximum per call
            piece = min(tokens, limiter.max_rate)
            await limiter.acquire(piece)
            tokens -= piece

    def answered(self, began: float, completion_tokens: int | None) -> None:
        """Raise the number in flight, unless the request was sent before the last refusal."""
        if completion_tokens is not None:
            mean = self._completion_tokens or completion_tokens
            self._completion_tokens = mean + (completion_tokens - mean) / 20.0
        if began >= self._refused_at:
            self._refusals = 0
            self._allowed = min(self._endpoint.concurrency, self._allowed + 1.0 / self._allowed)
            self._set_slots()

    def refused(self, began: float, retry_after: float | None) -> None:
        """Slow down. Refusals of requests that were sent together count once."""
        now = asyncio.get_running_loop().time()
        pause = retry_after or 0.0
        if began >= self._refused_at:
            own = min(_LONGEST_PAUSE, _FIRST_PAUSE * 2.0 ** min(self._refusals, 30))
            pause = max(pause, own * random.uniform(0.5, 1.0))
            self._refused_at, self._refusals = now, self._refusals + 1
            self._allowed = max(1.0, min(self._allowed, self._share) / 2.0)
            self._set_slots()
        self._paused_until = max(self._paused_until, now + pause)

    @property
    def _share(self) -> int:
        return max(1, self._endpoint.concurrency // self._nodes)

    def _set_slots(self) -> None:
        self._slots.total_tokens = min(self._share, int(self._allowed))


def _per_minute(limit: int | None, nodes: int) -> AsyncLimiter | None:
    """Return a limiter that stays within the limit in every minute; None for no limit."""
    if limit is None:
        return None
    # It allows bursts of one second's worth in addition to the steady rate.
    per_second = limit / nodes / 61.0
    return AsyncLimiter(max(1.0, per_second), max(1.0, 1.0 / per_second))
