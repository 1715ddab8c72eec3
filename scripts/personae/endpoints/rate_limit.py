"""How fast requests go out: limits per minute and what an endpoint's refusals teach, shared.

The state is one small file per endpoint and machine, changed under a lock. Requests and tokens are
buckets that refill steadily. When an endpoint says "too many requests", everybody pauses as long as
it asks, and for twice as long each time that nothing was answered in between, and the number of
requests in flight is halved; it grows back by one for every round of answers.
"""

from __future__ import annotations

import asyncio
import fcntl
import json
import math
import os
import random
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from personae.endpoints.endpoint_settings import Endpoint

_FORGET: Final = 900.0  # seconds after which a state says nothing any more
_TELL: Final = 0.5  # seconds between two reports of answers to the shared state
_FIRST_PAUSE: Final = 0.5
_LONGEST_PAUSE: Final = 60.0  # of those that are chosen here
PATIENCE: Final = 600.0  # of those that an endpoint asks for, and in which it does nothing else
_BURST: Final = 1.0  # seconds' worth of a limit that may go out at once


@dataclass
class State:
    """What all jobs of a machine know of an endpoint; times are seconds since 1970.

    ``refusals`` counts in how many rounds it had too many requests since it answered any.
    """

    at: float
    requests: float
    tokens: float
    slots: float
    pause_until: float = 0.0
    cut_at: float = 0.0
    refusals: int = 0


class Pace:
    """The pace of one endpoint."""

    def __init__(self, folder: Path, endpoint: Endpoint) -> None:
        self._path = folder / "pace.json"
        self._most = endpoint.concurrency
        self._rates = (
            _Rate(endpoint.requests_per_minute or 0),
            _Rate(endpoint.tokens_per_minute or 0),
        )
        self._limited = any(rate.per_minute for rate in self._rates)
        self._turn = asyncio.Lock()
        self._answers, self._told, self._refusals, self._cut_at = 0, 0.0, 0, 0.0
        self._slots, self._stamp, self._pause = float(self._most), 0, 0.0
        self._glance()

    def slots(self) -> int:
        """Return how many requests may be in flight on this machine at the moment."""
        return max(1, min(self._most, int(self._slots)))

    @property
    def pause(self) -> float:
        """Seconds for which nothing may be sent."""
        return max(0.0, self._pause - time.time())

    async def wait(self, tokens: float, stopped: asyncio.Event) -> None:
        """Wait until a request of about ``tokens`` tokens may be sent, and enter it.

        Ends at once when the batch is ``stopped``.
        """
        self._glance()
        if not self._limited and not self.pause:
            return
        # One at a time: who came first goes first.
        async with self._turn:
            while not stopped.is_set() and (delay := self._enter(tokens)):
                with suppress(TimeoutError):
                    await asyncio.wait_for(stopped.wait(), min(delay, 1.0))
                self._glance()

    def correct(self, tokens: float) -> None:
        """Take further tokens (negative: give some back) when the count of a request is known."""
        if self._rates[1].per_minute:
            with self._state() as state:
                state.tokens -= tokens

    def refused(self, retry_after: float | None, sent: float) -> None:
        """Slow down: the endpoint had too many requests when one came that went out at ``sent``.

        What had gone out before the last such refusal is of the same cause, and changes no more
        than the pause that the endpoint asks for.
        """
        self._answers = 0
        with self._state() as state:
            now = time.time()
            pause = min(retry_after or 0.0, PATIENCE)
            if sent >= state.cut_at:
                own = min(_LONGEST_PAUSE, _FIRST_PAUSE * 2.0 ** min(state.refusals, 30))
                pause = max(pause, own * random.uniform(0.5, 1.0))
                state.cut_at, state.refusals = now, state.refusals + 1
                state.slots = max(1.0, state.slots / 2.0)
            state.pause_until = max(state.pause_until, now + pause)

    def answered(self, sent: float) -> None:
        """Speed up again, by one request in flight for every round of answers.

        What was sent at full speed, before the last refusal, brings nothing back.
        """
        if sent < self._cut_at or (self._slots >= self._most and not self._refusals):
            return
        self._answers += 1
        now = time.monotonic()
        if now - self._told > _TELL:
            with self._state() as state:
                # A round of s answers makes s into s + 1, and so its square larger by about 2 s.
                grown = math.sqrt(state.slots**2 + 2.0 * self._answers)
                state.slots, state.refusals = min(float(self._most), grown), 0
            self._answers, self._told = 0, now

    def _enter(self, tokens: float) -> float:
        """Take a request and its tokens from the buckets; else return the seconds to wait."""
        with self._state() as state:
            if (pause := state.pause_until - time.time()) > 0:
                return pause
            delay = max(
                self._rates[0].delay(state.requests, 1.0),
                self._rates[1].delay(state.tokens, tokens),
            )
            if delay > 0:
                return delay
            state.requests -= 1.0
            state.tokens -= tokens
        return 0.0

    def _glance(self) -> None:
        """Read the state anew if another job changed it."""
        try:
            stamp = self._path.stat().st_mtime_ns
        except FileNotFoundError:
            return
        if stamp != self._stamp:
            with self._state(write=False):
                pass

    @contextmanager
    def _state(self, write: bool = True) -> Iterator[State]:
        """Yield the state, refilled to now, and write it back."""
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            text = os.pread(descriptor, 4096, 0)
            state = self._refilled(text)
            yield state
            if write:
                # Padded, not truncated: a kill in between leaves no empty file.
                new = json.dumps(asdict(state)).encode()
                os.pwrite(descriptor, new.ljust(len(text)), 0)
            self._slots, self._pause = state.slots, state.pause_until
            self._refusals, self._cut_at = state.refusals, state.cut_at
            self._stamp = os.fstat(descriptor).st_mtime_ns
        finally:
            os.close(descriptor)

    def _refilled(self, text: bytes) -> State:
        now = time.time()
        full = State(now, self._rates[0].most, self._rates[1].most, float(self._most))
        try:
            state = State(**json.loads(text))
        except (ValueError, TypeError):
            return full
        passed = now - state.at
        if not 0.0 <= passed <= _FORGET:
            return full
        state.at = now
        state.requests = self._rates[0].refilled(state.requests, passed)
        state.tokens = self._rates[1].refilled(state.tokens, passed)
        state.slots = min(state.slots, float(self._most))
        return state


@dataclass(frozen=True)
class _Rate:
    """A bucket: it holds the burst, and no minute sees more than the limit leave it."""

    per_minute: int

    @property
    def most(self) -> float:
        return max(1.0, self.per_minute * _BURST / 60.0)

    @property
    def per_second(self) -> float:
        return max(self.per_minute - self.most, self.per_minute / 2.0) / 60.0

    def refilled(self, level: float, seconds: float) -> float:
        return min(self.most, level + seconds * self.per_second)

    def delay(self, level: float, wanted: float) -> float:
        """Return the seconds until ``wanted``, or a full burst if that is less, is there."""
        missing = min(wanted, self.most) - level
        if not self.per_minute or missing <= 1e-9:
            return 0.0
        return missing / self.per_second
