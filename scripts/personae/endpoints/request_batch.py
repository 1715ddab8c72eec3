"""A batch of requests to one endpoint.

After a transient failure a request is sent again; a rejected request fails alone. A problem that
concerns all requests ends the batch with one line; answers to requests already sent are stored.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Mapping
from typing import Final

from personae.base.errors import PersonaeError
from personae.base.workflow_owner import current_owner
from personae.endpoints import endpoint_errors as errors
from personae.endpoints.answer_database import AnswerDatabase
from personae.endpoints.batch_progress import BatchProgress
from personae.endpoints.chat_answer import ChatAnswer, Failure
from personae.endpoints.chat_request import Body, likely_prompt_tokens, most_tokens
from personae.endpoints.http_client import ChatClient
from personae.endpoints.keys import require_key
from personae.endpoints.request_limits import RequestLimits
from personae.endpoints.retry_policy import retrying
from personae.endpoints.runtime import Runtime
from personae.endpoints.spending import Charge, Prices

Outcome = ChatAnswer | Failure

PATIENCE: Final = 600.0  # seconds for which an endpoint may ask to slow down and answer nothing
_DEAD: Final = 10  # after so many failures and no answer, the endpoint counts as dead
_CHECK_SECONDS: Final = 1.0  # between checks of the workflow, the disk and other nodes
_CHECKS_PER_LINE: Final = 10  # of the log
_KEPT: Final = "all answers so far are kept"


class NoLogprobsError(PersonaeError):
    """The endpoint returns no log-probabilities; the requests may be sent without them."""


class RequestBatch:
    """The requests of one node to one endpoint; for the parameters see `ask_all`."""

    def __init__(
        self, name: str, runtime: Runtime, database: AnswerDatabase, most_failures: int,
        may_be_blank: bool,
    ) -> None:  # fmt: skip
        self._name, self._runtime, self._database = name, runtime, database
        self._endpoint = endpoint = runtime.endpoint(name)
        self._most_failures, self._may_be_blank = most_failures, may_be_blank
        self._prices = Prices.of(endpoint)
        variable = endpoint.key_variable
        self._key = require_key(variable, name, runtime.root) if variable else None
        self._began = time.time()
        self._found: dict[str, Outcome] = {}
        self._in_flight: set[asyncio.Task[ChatAnswer | errors.EndpointError]] = set()
        self._refused_since: float | None = None
        self._ended = False

    async def run(self, wanted: Mapping[str, Body], known: int) -> dict[str, Outcome]:
        """Return the outcomes by key; the log counts ``known`` stored answers as well."""
        self._wanted, self._limits = wanted, RequestLimits(self._endpoint)
        priced = self._endpoint.price_out is not None
        self._progress = BatchProgress(self._name, known + len(wanted), known, priced=priced)
        async with ChatClient(self._endpoint, self._key) as self._client:
            try:
                await self._ask_watched()
            except BaseExceptionGroup as group:
                # Requests that were sent are paid for: wait for their answers.
                await asyncio.gather(*self._in_flight, return_exceptions=True)
                raise _first(group) from None
            finally:
                self._progress.log(self._limits.concurrency)
                self._database.leave()
        return self._found

    async def _ask_watched(self) -> None:
        async with asyncio.TaskGroup() as group:
            self._check()
            watch = group.create_task(self._watch())
            await self._ask_all()
            watch.cancel()

    async def _ask_all(self) -> None:
        """Send the requests that no other node sends, and wait for the answers to the others."""
        while left := [key for key in self._wanted if key not in self._found]:
            mine = self._database.claim(left)
            # Another node may have stored answers since the last query.
            self._found.update(self._database.known(left, since=self._began))
            unasked = deque(key for key in left if key in mine and key not in self._found)
            if not unasked and len(mine) < len(left):
                await asyncio.sleep(_CHECK_SECONDS / 2.0)
            # Twice as many workers as requests in flight, so that a request is always ready. No
            # more, so that refused requests are repeated before new ones are sent.
            async with asyncio.TaskGroup() as group:
                for _ in range(min(2 * self._endpoint.concurrency, len(unasked))):
                    group.create_task(self._work(unasked))

    async def _work(self, queue: deque[str]) -> None:
        while queue:
            key = queue.popleft()
            self._found[key] = await self._outcome(key)

    async def _outcome(self, key: str) -> Outcome:
        tries = retrying(self._endpoint.attempts, self._progress.count_retry)
        try:
            return await tries(self._answer, key)
        except (errors.RejectedError, errors.TransientError) as error:
            if isinstance(error, errors.RejectedError) and error.reason == "filtered":
                return Failure("filtered", str(error))  # the endpoint works
            return self._give_up(str(error))

    def _give_up(self, detail: str) -> Failure:
        progress = self._progress
        progress.failed += 1
        dead = progress.failed >= _DEAD and not progress.answered
        if progress.failed > self._most_failures or dead:
            raise self._end(
                f"{progress.failed} of {progress.total} requests failed, the last with {detail}; "
                f"{_KEPT}: run again when the endpoint works"
            )
        return Failure("api_error", detail)

    async def _answer(self, key: str) -> ChatAnswer:
        """Return the answer to a request; it is sent again while the endpoint asks to slow down."""
        while True:
            sent = await self._send(key)
            if isinstance(sent, ChatAnswer):
                return sent
            if not isinstance(sent, errors.SlowDownError):
                raise sent

    async def _send(self, key: str) -> ChatAnswer | errors.EndpointError:
        """Send a request once, and adapt the limits before the next one is sent."""
        body = self._wanted[key]
        tokens = likely_prompt_tokens(body), most_tokens(body)[1]
        async with self._limits.slot(*tokens) as began:
            if self._ended:  # this slot was freed by the request that ended the batch
                raise asyncio.CancelledError
            await self._reserve(body)
            exchange = asyncio.create_task(self._exchange(key, body))
            self._in_flight.add(exchange)
            exchange.add_done_callback(self._in_flight.discard)
            sent = await asyncio.shield(exchange)  # finishes even if the batch ends
            if isinstance(sent, ChatAnswer):
                self._limits.answered(began, sent.completion_tokens)
            elif isinstance(sent, errors.SlowDownError):
                self._slow_down(sent, began)
                return sent
            self._refused_since = None
            return self._conclude(sent)

    def _slow_down(self, error: errors.SlowDownError, began: float) -> None:
        self._progress.slowed += 1
        self._limits.refused(began, error.retry_after)
        if (seconds := error.retry_after or 0.0) > PATIENCE:
            raise self._end(
                f"the endpoint asks to wait {seconds / 60.0:.0f} minutes ({error}); run again "
                f"then: {_KEPT}"
            )
        now = asyncio.get_running_loop().time()
        self._refused_since = self._refused_since or now
        if now - self._refused_since > PATIENCE:
            minutes = f"{PATIENCE / 60.0:.0f} minutes"
            raise self._end(f"nothing but {error} for {minutes}; run again later: {_KEPT}")

    def _conclude(
        self, sent: ChatAnswer | errors.EndpointError
    ) -> ChatAnswer | errors.EndpointError:
        """Raise errors that end the batch; an uncertain refusal rejects this request only."""
        if isinstance(sent, errors.LogprobsRefusedError):
            self._ended = True
            raise NoLogprobsError(f"endpoints.{self._name}: {sent}")
        if isinstance(sent, errors.EndpointRefusedError):
            if self._progress.answered and not sent.certain:
                return errors.RejectedError(str(sent))
            raise self._end(
                f"{self._endpoint.base_url} refuses model {self._endpoint.model!r} ({sent}); "
                f"{sent.remedy} (the key is in {self._endpoint.key_variable})"
            )
        return sent

    async def _reserve(self, body: Body) -> None:
        """Reserve the maximum cost of a request; wait while other requests hold the budget."""
        budget, study = self._runtime.budget, self._runtime.study
        while budget and not self._database.reserve(study, self._prices.bound(body), budget):
            if not self._in_flight:
                raise budget.used_up(self._database.spent(study))
            await asyncio.sleep(0.05)

    async def _exchange(self, key: str, body: Body) -> ChatAnswer | errors.EndpointError:
        """Send a request; store the answer and charge the cost beyond the reservation."""
        try:
            sent: ChatAnswer | errors.EndpointError = await self._client.send(body)
            if isinstance(sent, ChatAnswer) and sent.is_blank and not self._may_be_blank:
                sent = errors.TransientError("the answer is empty", billed=True)
        except errors.EndpointError as error:
            sent = error
        bound, study = self._prices.bound(body), self._runtime.study
        reserved = Charge(1, bound) if self._runtime.budget else Charge()
        if isinstance(sent, ChatAnswer):
            due = self._prices.charge(body, sent)
            self._database.keep(key, sent, self._name, study, due - reserved)
            self._progress.answered += 1
            self._progress.cost += due.cost
        else:
            billed = isinstance(sent, errors.TransientError) and sent.billed
            self._database.settle(study, Charge(1, bound if billed else 0.0) - reserved)
        return sent

    def _end(self, text: str) -> PersonaeError:
        """Stop sending requests, and return the error to raise."""
        self._ended = True
        return PersonaeError(f"endpoints.{self._name}: {text}")

    async def _watch(self) -> None:
        checks = 0
        while True:
            await asyncio.sleep(_CHECK_SECONDS)
            checks += 1
            self._check()
            if checks % _CHECKS_PER_LINE == 0:
                self._progress.log(self._limits.concurrency)

    def _check(self) -> None:
        """Check the workflow, the disk, and how many nodes share the endpoint."""
        current_owner()
        self._database.require_room()
        place = f"{self._endpoint.base_url} {self._endpoint.model} {self._endpoint.key_variable}"
        self._limits.share_with(self._database.join(place))


def _first(error: BaseException) -> BaseException:
    """Return the first error of a group of tasks; the others follow from it."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
