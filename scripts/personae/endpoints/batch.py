"""One batch of requests to one endpoint: sent, tried again, given up, or ended together.

What one request meets is told apart: a passing failure is tried again after a pause that doubles
(or that the endpoint asks for), a rejected request is given up alone, and what every further
request would meet ends the batch with one line. Answers on the way by then are waited for and kept.
"""

from __future__ import annotations

import asyncio
import random
from collections import deque
from contextlib import suppress
from typing import Final

from personae.endpoints.answer_store import AnswerStore, StoreError
from personae.endpoints.answers import Answer, Body, Failure, likely_tokens
from personae.endpoints.batch_end import NoLogprobsError, long_wait, refused, told, too_much_failed
from personae.endpoints.batch_progress import EVERY, LOG, Tally
from personae.endpoints.cache_location import limits_folder
from personae.endpoints.concurrency_slots import Slots
from personae.endpoints.endpoint_settings import Endpoint
from personae.endpoints.error_meaning import Hopeless, Passing, Rejected
from personae.endpoints.keys import require_key
from personae.endpoints.rate_limit import PATIENCE, Pace
from personae.endpoints.request_turn import Spacing, Turn
from personae.endpoints.runtime import Runtime
from personae.endpoints.spending import Account, Sent
from personae.endpoints.transport import Caller

Outcome = Answer | Failure
# Requests that begin together stay together, and then each waits for the work of all the others.
_SPREAD: Final = 0.05  # seconds over which the first requests are spread
_FIRST_PAUSE: Final = 0.5
_LONGEST_PAUSE: Final = 60.0
_BILLED_TRIES: Final = 3  # of a request whose reply is useless and may have been paid for
_DEAD: Final = 10  # so many requests given up in a row: nobody answers there
_SETTLING: Final = 0.05  # seconds between two looks at what is left of a budget
_ELSEWHERE: Final = 0.5  # seconds between two looks for an answer that another job asks for


class Batch:
    """One batch of requests to one endpoint."""

    def __init__(self, name: str, endpoint: Endpoint, runtime: Runtime, store: AnswerStore) -> None:
        self._name, self._endpoint, self._store = name, endpoint, store
        variable = endpoint.key_variable
        self._key = require_key(variable, name, runtime.root) if variable else None
        self._account = Account(name, endpoint, runtime, store)
        self._found: dict[str, Outcome] = {}
        self._error: Exception | None = None
        self._refusal, self._refused_since = "", 0.0  # since the endpoint answered any request

    async def run(
        self, wanted: dict[str, Body], *, kept: int, most_failures: int
    ) -> dict[str, Outcome]:
        """Return the outcome of every request by key."""
        self._stopped, self._spacing = asyncio.Event(), Spacing()
        self._tally = Tally(
            self._name, kept + len(wanted), kept, priced=self._endpoint.price_out is not None
        )
        self._most_failures = most_failures
        try:
            await self._within_limits(wanted)
        except Exception as error:
            self._stop(error)
        finally:
            LOG.info("%s", self._tally.line())
            with suppress(StoreError):
                await self._store.release(wanted)
        if self._error:
            raise self._error
        return self._found

    async def _within_limits(self, wanted: dict[str, Body]) -> None:
        folder = limits_folder(self._endpoint)
        self._pace = Pace(folder, self._endpoint)
        self._caller = Caller(self._endpoint, self._key)
        try:
            async with Slots(folder, self._pace.slots) as self._slots:
                watch = asyncio.create_task(self._watch())
                try:
                    await self._rounds(wanted)
                finally:
                    watch.cancel()
        finally:
            await self._caller.close()

    async def _rounds(self, wanted: dict[str, Body]) -> None:
        """Ask what nobody else asks; take over, or wait for, the rest."""
        while (left := [k for k in wanted if k not in self._found]) and not self._error:
            mine = await self._store.claim(left)
            # An answer may have come from another job between the first look and the claim.
            self._found.update(self._store.known(left))
            queue = deque((k, wanted[k]) for k in left if k in mine and k not in self._found)
            if queue:
                # Twice as many as slots: the next request is ready when a slot becomes free.
                workers = min(2 * self._endpoint.concurrency, len(queue))
                async with asyncio.TaskGroup() as group:
                    for i in range(workers):
                        delay = _SPREAD * i / self._endpoint.concurrency
                        group.create_task(self._work(queue, delay))
            elif len(mine) < len(left):
                await self._pause(_ELSEWHERE)

    async def _work(self, queue: deque[tuple[str, Body]], delay: float) -> None:
        await asyncio.sleep(delay)
        while queue and not self._error:
            key, body = queue.popleft()
            try:
                outcome = await self._ask(key, body)
                if isinstance(outcome, Failure):
                    await self._store.release([key])  # another job may have more luck
            except Exception as error:
                # Told when the answers of the others, which are paid for, have come.
                self._stop(error)
                return
            if outcome is not None:
                self._found[key] = outcome

    async def _ask(self, key: str, body: Body) -> Outcome | None:
        """Return the outcome of one request; None when the batch ended before there was one."""
        tries = billed = 0
        while not self._out_of_patience():
            sent = await self._send(key, body)
            if not isinstance(sent, Passing):
                return self._settled(sent)
            billed, tries = billed + sent.billed, tries + (not sent.slow_down)
            if tries >= self._endpoint.attempts or billed >= _BILLED_TRIES:
                return self._give_up("api_error", f"{sent} (try {tries})")
            self._tally.retry(str(sent))
            if not sent.slow_down:  # which makes everybody pause
                await self._back_off(tries, sent)
        waited = f"nothing else for {PATIENCE / 60.0:.0f} minutes"
        return self._give_up("api_error", f"{self._refusal} ({waited})")

    def _settled(self, sent: Answer | Rejected | Hopeless | None) -> Outcome | None:
        """Return the outcome of a request that need not be sent again."""
        if isinstance(sent, Answer):
            return sent
        if not isinstance(sent, Rejected):
            return None
        if sent.logprobs:
            self._stop(NoLogprobsError(str(sent)))
            return None
        return self._give_up("filtered" if sent.filtered else "api_error", str(sent))

    async def _send(self, key: str, body: Body) -> Sent | None:
        """Send a request once, when its turn comes; None when the batch ended before.

        What came of it is written down by then.
        """
        tokens = likely_tokens(body)
        turn = Turn(
            self._slots,
            self._spacing,
            admit=lambda: self._admit(body, tokens),
            keep=lambda answer: self._enter(key, body, answer),
        )
        try:
            answer = await self._caller.call(body, turn)
            if answer.prompt_tokens is not None and answer.completion_tokens is not None:
                self._pace.correct(answer.prompt_tokens + answer.completion_tokens - tokens)
            self._pace.answered(turn.began)
            self._refused_since = 0.0
            return answer
        except _Over:
            return None
        except (Passing, Rejected, Hopeless) as error:
            self._heed(error, turn.began)
            turn.end()
            await self._enter(key, body, error)
            return error
        finally:
            turn.end()

    async def _admit(self, body: Body, tokens: float) -> None:
        """Wait until limits and budget leave room for a request, and enter it there."""
        await self._pace.wait(tokens, self._stopped)
        while not self._error:
            if await self._account.reserve(body):
                return
            await self._pause(_SETTLING)
        raise _Over

    def _heed(self, error: Passing | Rejected | Hopeless, began: float) -> None:
        """Do what must be done before the slot serves the next request."""
        if isinstance(error, Passing) and error.slow_down:
            self._pace.refused(error.retry_after, began)
            self._refusal = str(error)
            self._refused_since = self._refused_since or asyncio.get_running_loop().time()
            if error.retry_after and error.retry_after > PATIENCE:
                self._stop(long_wait(self._name, error, error.retry_after))
            return
        self._refused_since = 0.0
        if isinstance(error, Hopeless):
            self._stop(refused(self._name, self._endpoint, error))

    def _out_of_patience(self) -> bool:
        since = self._refused_since
        return since > 0.0 and asyncio.get_running_loop().time() - since > PATIENCE

    async def _enter(self, key: str, body: Body, sent: Sent) -> None:
        """Write down what came of a request."""
        cost = await self._account.enter(key, body, sent)
        if isinstance(sent, Answer):
            self._tally.answer(cost)

    async def _back_off(self, attempt: int, error: Passing) -> None:
        pause = min(_LONGEST_PAUSE, _FIRST_PAUSE * 2.0 ** (attempt - 1)) * random.uniform(0.5, 1.0)
        await self._pause(pause if error.retry_after is None else error.retry_after)

    async def _pause(self, seconds: float) -> None:
        """Sleep, but not beyond the end of the batch."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._stopped.wait(), min(seconds, _LONGEST_PAUSE))

    def _give_up(self, reason: str, detail: str) -> Failure:
        if reason == "filtered":  # an answer of a kind: the endpoint is well
            return Failure(reason, detail)
        (tally := self._tally).failure()
        if tally.failed > self._most_failures or (tally.in_a_row >= _DEAD and not tally.answered):
            self._stop(too_much_failed(self._name, tally, detail))
        return Failure(reason, detail)

    def _stop(self, error: Exception) -> None:
        """Send nothing more; the first reason is the one that is told."""
        self._error = self._error or told(error)
        self._stopped.set()

    async def _watch(self) -> None:
        """Say how things stand and renew the claims, now and then."""
        while not self._error:
            await asyncio.sleep(EVERY)
            self._tally.now_and_then(self._pace.slots(), self._pace.pause)
            try:
                await self._store.renew()
            except Exception as error:
                self._stop(error)


class _Over(Exception):  # noqa: N818
    """The batch ended before a request went out."""
