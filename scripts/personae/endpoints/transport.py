"""One request over HTTP: out in its turn, and its answer kept as it arrives."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Final

import openai

from personae.endpoints.answers import Answer, Body
from personae.endpoints.endpoint_settings import Endpoint
from personae.endpoints.error_meaning import Passing, of_connection, of_refusal
from personae.endpoints.request_turn import Turn
from personae.endpoints.response_parsing import read_answer, refusal_within

# Asks the client to leave the reply as it came: it is read here, on arrival.
_RAW: Final[Any] = {"headers": {"X-Stainless-Raw-Response": "true"}}


@dataclass
class _Sending:
    """The request that a task sends; its time begins to count with its turn."""

    turn: Turn
    limit: asyncio.Timeout
    logprobs: bool
    answer: Answer | None = None


_sending: ContextVar[_Sending] = ContextVar("sending")


class Caller:
    """Sends requests to one endpoint, each once."""

    def __init__(self, endpoint: Endpoint, key: str | None) -> None:
        self._timeout = endpoint.timeout
        hooks: dict[str, list[Callable[..., Any]]] = {
            "request": [self._begin],
            "response": [self._end],
        }
        self._client = openai.AsyncOpenAI(
            base_url=endpoint.base_url,
            api_key=key or "none",
            timeout=endpoint.timeout,
            max_retries=0,
            http_client=openai.DefaultAsyncHttpxClient(event_hooks=hooks),
        )

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()

    async def call(self, body: Body, turn: Turn) -> Answer:
        """Return the answer to ``body``, sent in its turn and kept; else the turn stays open.

        Raises
        ------
        Passing, Rejected, Hopeless
            By what should follow; the text holds no key.
        """
        try:
            async with asyncio.timeout(None) as limit:
                logprobs = bool(body.get("logprobs"))
                _sending.set(sending := _Sending(turn, limit, logprobs))
                # The body as it is, which is what the answer is kept under; the typed method would
                # rebuild it, at the cost of half a millisecond.
                await self._client.post(
                    "/chat/completions", cast_to=object, body=dict(body), options=_RAW
                )
        except openai.APIStatusError as error:
            raise of_refusal(error.status_code, error.response, sending.logprobs) from None
        except (TimeoutError, openai.APITimeoutError):
            raise Passing(f"no answer in {self._timeout:g} s", billed=True) from None
        except openai.APIConnectionError as error:
            raise of_connection(error) from None
        assert sending.answer is not None  # of every reply that raised nothing
        return sending.answer

    async def _begin(self, _request: object) -> None:
        """Wait for the turn of a request that is about to go out."""
        sending = _sending.get()
        await sending.turn.begin()
        sending.limit.reschedule(asyncio.get_running_loop().time() + self._timeout)

    async def _end(self, response: Any) -> None:
        """Read a reply and finish its turn, unless the next request has to heed what it says."""
        sending = _sending.get()
        await response.aread()
        if response.is_success:
            sending.limit.reschedule(None)
            if status := refusal_within(response.content):
                raise of_refusal(status, response, sending.logprobs)
            sending.answer = read_answer(response.content)
            await sending.turn.finish(sending.answer)
