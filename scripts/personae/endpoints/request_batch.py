"""A batch of requests to one endpoint: each is answered, given up, or stopped with all others.

A transient failure is tried again, a rejected request is given up alone, and what every request
would meet ends the batch with one line. Answers that are on their way by then are still kept.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Mapping
from typing import Final, cast

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
_LOOK: Final = 1.0  # seconds between two looks at the workflow, the disk and other nodes
_LOOKS_PER_LINE: Final = 10  # in the log
_KEPT: Final = "all answers so far are kept"


class NoLogprobsError(PersonaeError):
    """The endpoint gives no log-probabilities; the same can be asked without."""


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
        self._error: Exception | None = None
        self._stoppable: set[asyncio.Task[None]] = set()  # workers with no request on its way
        self._on_their_way = 0
        self._refused_since: float | None = None

    async def run(self, wanted: Mapping[str, Body], known: int) -> dict[str, Outcome]:
        """Return the outcomes of requests by key; ``known`` more are only counted in the log."""
        self._wanted, self._limits = wanted, RequestLimits(self._endpoint)
        priced = self._endpoint.price_out is not None
        self._progress = BatchProgress(self._name, known + len(wanted), known, priced=priced)
        async with ChatClient(self._endpoint, self._key) as self._client:
            self._look()
            watch = asyncio.create_task(self._watch())
            try:
                await self._ask_all()
            finally:
                watch.cancel()
                self._progress.log(self._limits.concurrency)
                self._database.leave()
        if self._error:
            raise self._error
        return self._found

    async def _ask_all(self) -> None:
        """Ask what no other node asks, and wait for the answers to the rest."""
        while not self._error and (left := [k for k in self._wanted if k not in self._found]):
            mine = self._database.claim(left)
            # Another node may have asked since this one looked.
            self._found.update(self._database.known(left, since=self._began))
            queue = deque(key for key in left if key in mine and key not in self._found)
            if not queue and len(mine) < len(left):
                await asyncio.sleep(_LOOK / 2.0)
            # Twice as many workers as requests in flight: the next request is always ready.
            async with asyncio.TaskGroup() as group:
                for _ in range(min(2 * self._endpoint.concurrency, len(queue))):
                    self._stoppable.add(group.create_task(self._work(queue)))

    async def _work(self, queue: deque[str]) -> None:
        try:
            while queue and not self._error:
                key = queue.popleft()
                self._found[key] = await self._outcome(key)
        except Exception as error:
            self._stop(error)

    async def _outcome(self, key: str) -> Outcome:
        tries = retrying(self._endpoint.attempts, self._progress.count_retry)
        try:
            return await tries(self._answer, key)
        except (errors.RejectedError, errors.TransientError) as error:
            if isinstance(error, errors.RejectedError) and error.reason == "filtered":
                return Failure("filtered", str(error))  # and the endpoint is well
            return self._give_up(str(error))

    def _give_up(self, detail: str) -> Failure:
        progress = self._progress
        progress.failed += 1
        dead = progress.failed >= _DEAD and not progress.answered
        if progress.failed > self._most_failures or dead:
            self._stop_with(
                f"{progress.failed} of {progress.total} requests failed, the last with {detail}; "
                f"{_KEPT}: run again when the endpoint is well"
            )
        return Failure("api_error", detail)

    async def _answer(self, key: str) -> ChatAnswer:
        """Return the answer to a request, which is sent again while the endpoint is busy."""
        while True:
            try:
                return await self._send(key, self._wanted[key])
            except errors.SlowDownError as error:
                self._progress.slowed += 1
                now = asyncio.get_running_loop().time()
                self._refused_since = self._refused_since or now
                if now - self._refused_since > PATIENCE:
                    minutes = f"{PATIENCE / 60.0:.0f} minutes"
                    self._stop_with(f"nothing but {error} for {minutes}; run again later: {_KEPT}")
                if self._error:
                    raise asyncio.CancelledError from None

    async def _send(self, key: str, body: Body) -> ChatAnswer:
        """Send a request once, and write down what came of it."""
        task = cast("asyncio.Task[None]", asyncio.current_task())
        began = await self._limits.begin(likely_prompt_tokens(body), most_tokens(body)[1])
        sent: ChatAnswer | errors.EndpointError
        try:
            await self._reserve(body)
            self._stoppable.discard(task)
            try:
                sent = await self._client.send(body)
                self._limits.answered(began, sent.completion_tokens)
                self._refused_since = None
                if sent.is_blank and not self._may_be_blank:
                    sent = errors.TransientError("the answer is empty", billed=True)
            except errors.EndpointError as error:
                sent = self._heed(error, began)
        finally:
            self._limits.end()
        self._enter(key, body, sent)
        self._stoppable.add(task)
        if isinstance(sent, ChatAnswer):
            return sent
        raise asyncio.CancelledError if self._error else sent  # no further try

    def _heed(self, error: errors.EndpointError, began: float) -> errors.EndpointError:
        """Draw the conclusions of an error before the next request is sent."""
        if isinstance(error, errors.SlowDownError):
            self._limits.refused(began, error.retry_after)
            if (seconds := error.retry_after or 0.0) > PATIENCE:
                self._stop_with(
                    f"the endpoint asks to wait {seconds / 60.0:.0f} minutes ({error}); run again "
                    f"then: {_KEPT}"
                )
            return error
        self._refused_since = None
        if isinstance(error, errors.LogprobsRefusedError):
            self._stop(NoLogprobsError(f"endpoints.{self._name}: {error}"))
        if isinstance(error, errors.EndpointRefusedError):
            if self._progress.answered and not error.certain:
                return errors.RejectedError(str(error))
            self._stop_with(
                f"{self._endpoint.base_url} refuses model {self._endpoint.model!r} ({error}); "
                f"{error.remedy} (the key is in {self._endpoint.key_variable})"
            )
        return error

    async def _reserve(self, body: Body) -> None:
        """Reserve the most that a request can cost, and wait while others tie up the budget."""
        budget, study = self._runtime.budget, self._runtime.study
        while budget and not self._database.reserve(study, self._prices.bound(body), budget):
            if not self._on_their_way:
                raise budget.used_up(self._database.spent(study))
            await asyncio.sleep(0.05)
        self._on_their_way += 1

    def _enter(self, key: str, body: Body, sent: ChatAnswer | errors.EndpointError) -> None:
        """Write down what came of a request, and what is due beyond its reservation."""
        self._on_their_way -= 1
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

    def _stop(self, error: Exception) -> None:
        """Send nothing more; requests on their way are waited for. The first reason is raised."""
        self._error = self._error or error
        for task in self._stoppable:
            if task is not asyncio.current_task():
                task.cancel()

    def _stop_with(self, text: str) -> None:
        self._stop(PersonaeError(f"endpoints.{self._name}: {text}"))

    async def _watch(self) -> None:
        looks = 0
        while not self._error:
            await asyncio.sleep(_LOOK)
            looks += 1
            try:
                self._look()
            except Exception as error:
                self._stop(error)
            if looks % _LOOKS_PER_LINE == 0:
                self._progress.log(self._limits.concurrency)

    def _look(self) -> None:
        """Check that the workflow is alive and the disk has room, and share with other nodes."""
        current_owner()
        self._database.require_room()
        place = f"{self._endpoint.base_url} {self._endpoint.model} {self._endpoint.key_variable}"
        self._limits.share_with(self._database.join(place))
