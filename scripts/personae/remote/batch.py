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

from personae.config.endpoints import Endpoint
from personae.errors import PersonaeError
from personae.remote.answers import Answer, Body, Charge, Failure, Prices, likely_tokens
from personae.remote.pace import Pace
from personae.remote.place import limits_folder
from personae.remote.progress import EVERY, LOG, Tally
from personae.remote.runtime import Runtime
from personae.remote.slots import Slots
from personae.remote.store import AnswerStore, StoreError
from personae.remote.transport import Caller, Hopeless, Passing, Rejected
from personae.remote.turn import Turn
from personae.secrets import require_key

Outcome = Answer | Failure
# Requests that begin together stay together, and then each waits for the work of all the others.
_SPREAD: Final = 0.05  # seconds over which the first requests are spread
_FIRST_PAUSE: Final = 0.5
_LONGEST_PAUSE: Final = 60.0
_BILLED_TRIES: Final = 3  # of a request whose reply is useless and may have been paid for
_DEAD: Final = 10  # so many requests given up in a row: nobody answers there
_SETTLING: Final = 0.05  # seconds between two looks at what is left of a budget
_ELSEWHERE: Final = 0.5  # seconds between two looks for an answer that another job asks for


class NoLogprobsError(PersonaeError):
    """The endpoint gives no log-probabilities; the same can be asked in words."""


class Batch:
    """One batch of requests to one endpoint."""

    def __init__(self, name: str, endpoint: Endpoint, runtime: Runtime, store: AnswerStore) -> None:
        self._name, self._endpoint, self._runtime, self._store = name, endpoint, runtime, store
        variable = endpoint.key_variable
        self._key = require_key(variable, name, runtime.root) if variable else None
        self._prices = Prices.of(endpoint)
        self._found: dict[str, Outcome] = {}
        self._error: PersonaeError | None = None
        self._open = 0  # requests that went out and are not yet entered

    async def run(
        self, wanted: dict[str, Body], *, kept: int, most_failures: int
    ) -> dict[str, Outcome]:
        """Return the outcome of every request by key."""
        folder = limits_folder(self._endpoint)
        self._stopped = asyncio.Event()
        self._caller = Caller(self._endpoint, self._key)
        self._pace = Pace(folder, self._endpoint)
        self._tally = Tally(
            self._name, kept + len(wanted), kept, priced=self._endpoint.price_out is not None
        )
        self._most_failures = most_failures
        try:
            async with Slots(folder, self._pace.slots) as self._slots:
                watch = asyncio.create_task(self._watch())
                await self._rounds(wanted)
                watch.cancel()
        except StoreError as error:
            self._stop(error)
        finally:
            await self._caller.close()
            LOG.info("%s", self._tally.line())
        if self._error:
            raise self._error
        await self._store.release()
        return self._found

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
            except (StoreError, _Used) as error:
                self._stop(self._explained(error))
                return
            if outcome is not None:
                self._found[key] = outcome

    async def _ask(self, key: str, body: Body) -> Outcome | None:
        """Return the outcome of one request; None when the batch ended before there was one."""
        billed = 0
        for attempt in range(1, self._endpoint.attempts + 1):
            sent = await self._send(key, body)
            if isinstance(sent, Answer):
                return sent
            if sent is None or isinstance(sent, Hopeless):
                return None
            if isinstance(sent, Rejected) and sent.logprobs:
                self._stop(NoLogprobsError(str(sent)))
                return None
            if isinstance(sent, Rejected):
                return self._give_up("filtered" if sent.filtered else "api_error", str(sent))
            billed += sent.billed
            if attempt == self._endpoint.attempts or billed >= _BILLED_TRIES:
                return self._give_up("api_error", f"{sent} (try {attempt})")
            self._tally.retry(str(sent))
            await self._back_off(attempt, sent)
        raise AssertionError("every last try ends above")

    async def _send(self, key: str, body: Body) -> Answer | Passing | Rejected | Hopeless | None:
        """Send a request once, when its turn comes; None when the batch ended before.

        What came of it is written down by then.
        """
        tokens = likely_tokens(body)
        turn = Turn(
            self._slots,
            admit=lambda: self._admit(body, tokens),
            keep=lambda answer: self._enter(key, body, answer),
        )
        try:
            answer = await self._caller.call(body, turn)
            if answer.prompt_tokens is not None and answer.completion_tokens is not None:
                self._pace.correct(answer.prompt_tokens + answer.completion_tokens - tokens)
            self._pace.answered()
            return answer
        except _Over:
            return None
        except (Passing, Rejected, Hopeless) as error:
            self._heed(error)
            turn.end()
            await self._enter(key, body, error)
            return error
        finally:
            turn.end()

    async def _admit(self, body: Body, tokens: float) -> None:
        """Wait until limits and budget leave room for a request, and enter it there."""
        await self._pace.wait(tokens, self._stopped)
        if self._error:
            raise _Over
        await self._reserve(body)
        self._open += 1

    def _heed(self, error: Passing | Rejected | Hopeless) -> None:
        """Do what must be done before the slot serves the next request."""
        if isinstance(error, Hopeless):
            self._stop(self._explained(error))
        elif isinstance(error, Passing) and error.slow_down:
            self._pace.refused(error.retry_after)

    async def _reserve(self, body: Body) -> None:
        """Reserve the most that a request can cost; what is on the way may turn out cheaper."""
        budget, study = self._runtime.budget, self._runtime.study
        if not budget:
            return
        while not await self._store.reserve(study, self._prices.bound(body), budget):
            if not self._open:
                raise _Used
            await self._pause(_SETTLING)
            if self._error:
                raise _Over

    async def _enter(
        self, key: str, body: Body, sent: Answer | Passing | Rejected | Hopeless
    ) -> None:
        """Write down what came of a request, and what is due for it."""
        change = self._change(body, sent)
        try:
            if isinstance(sent, Answer):
                await self._store.keep(key, sent, self._name, (self._runtime.study, change))
                self._tally.answer(self._prices.charge(body, sent).cost)
            else:
                await self._store.settle(self._runtime.study, change)
        finally:
            self._open -= 1

    def _change(self, body: Body, sent: Answer | Passing | Rejected | Hopeless) -> Charge:
        """Return what is due for a request beyond what was reserved for it."""
        bound = self._prices.bound(body)
        if isinstance(sent, Answer):
            due = self._prices.charge(body, sent)
        else:
            # Whether a broken reply is billed is not known: then its bound is.
            due = Charge(1, bound if isinstance(sent, Passing) and sent.billed else 0.0)
        return due.beyond(Charge(1, bound)) if self._runtime.budget else due

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
            self._stop(
                PersonaeError(
                    f"endpoints.{self._name}: {tally.failed} of {tally.total} requests failed, the "
                    f"last with {detail}; what was answered is kept: run again when it is well"
                )
            )
        return Failure(reason, detail)

    def _stop(self, error: PersonaeError) -> None:
        """Send nothing more; the first reason is the one that is told."""
        self._error = self._error or error
        self._stopped.set()

    def _explained(self, error: Exception) -> PersonaeError:
        if isinstance(error, StoreError):
            return error
        if isinstance(error, _Used):
            spent, budget = self._store.spent(self._runtime.study), self._runtime.budget
            return PersonaeError(
                f"judging: the budget is used up (max_requests = {budget.requests}, max_cost = "
                f"{budget.cost}; {spent.requests} requests and ${spent.cost:.4f} so far); raise it "
                "and run again: what was answered is kept"
            )
        end = self._endpoint
        return PersonaeError(
            f"endpoints.{self._name}: {end.base_url} refuses model {end.model!r} ({error}); "
            f"check base_url, model and the key in {end.key_variable}"
        )

    async def _watch(self) -> None:
        """Say how things stand and renew the claims, now and then."""
        while not self._error:
            await asyncio.sleep(EVERY)
            self._tally.now_and_then(self._pace.slots(), self._pace.pause)
            try:
                await self._store.renew()
            except StoreError as error:
                self._stop(error)


class _Over(Exception):  # noqa: N818
    """The batch ended before a request went out."""


class _Used(Exception):  # noqa: N818
    """The budget is used up."""
