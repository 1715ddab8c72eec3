"""One request over HTTP: an answer, or an error told apart by what it means for the others."""

from __future__ import annotations

import asyncio
import email.utils
import json
import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Final

import openai

from personae.config.endpoints import Endpoint
from personae.remote.answers import Answer, Body
from personae.remote.turn import Turn
from personae.secrets import scrub

_SHOWN: Final = 200  # characters of what an endpoint says about an error
_PASSING: Final = frozenset((408, 409, 425, 429, 500, 502, 503, 504, 520, 521, 522, 524, 529))
_SLOW_DOWN: Final = frozenset((429, 503, 529))
_REFUSING: Final = frozenset((401, 402, 403, 404))
_FILTERED: Final = ("content_filter", "content_policy", "ResponsibleAIPolicy", "moderation")
_SPENT: Final = ("insufficient_quota", "billing_hard_limit")
# Asks the client to leave the reply as it came: it is read here, on arrival.
_RAW: Final[Any] = {"headers": {"X-Stainless-Raw-Response": "true"}}


class Passing(Exception):  # noqa: N818 - not an error of the program
    """A failure that a later try may not meet.

    Attributes
    ----------
    retry_after
        Seconds that the endpoint asks to wait, or None.
    slow_down
        The endpoint has too many requests.
    billed
        The request may have been paid for.
    """

    def __init__(
        self,
        text: str,
        *,
        retry_after: float | None = None,
        slow_down: bool = False,
        billed: bool = False,
    ) -> None:
        super().__init__(text)
        self.retry_after, self.slow_down, self.billed = retry_after, slow_down, billed


class Rejected(Exception):  # noqa: N818
    """This request is refused whenever it is sent; others may be answered."""

    def __init__(self, text: str, *, filtered: bool = False, logprobs: bool = False) -> None:
        super().__init__(text)
        self.filtered, self.logprobs = filtered, logprobs


class Hopeless(Exception):  # noqa: N818
    """Every request is refused: the key, the model's name, the certificate, an empty account."""


@dataclass
class _Sending:
    """The request that a task sends; its time begins to count with its turn."""

    turn: Turn
    limit: asyncio.Timeout
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
                _sending.set(sending := _Sending(turn, limit))
                # The body as it is, which is what the answer is kept under; the typed method would
                # rebuild it, at the cost of half a millisecond.
                await self._client.post(
                    "/chat/completions", cast_to=object, body=dict(body), options=_RAW
                )
        except openai.APIStatusError as error:
            raise _of_status(error, bool(body.get("logprobs"))) from None
        except (TimeoutError, openai.APITimeoutError):
            raise Passing(f"no answer in {self._timeout:g} s", billed=True) from None
        except openai.APIConnectionError as error:
            raise _of_connection(error) from None
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
            sending.answer = read_answer(response.content)
            await sending.turn.finish(sending.answer)


def read_answer(content: bytes) -> Answer:
    """Return the answer in the body of a reply.

    Raises
    ------
    Passing
        When it is no chat completion: such a reply may have been paid for.
    """
    try:
        record = json.loads(content)
        choice = record["choices"][0]
        message = choice["message"]
        usage = record.get("usage") or {}
        return Answer(
            text=scrub(message.get("content") or message.get("refusal") or ""),
            finish_reason=_finish(choice, message),
            **_logprobs(choice),
            model=str(record.get("model", "")),
            prompt_tokens=usage.get("prompt_tokens"),
            completion_tokens=usage.get("completion_tokens"),
        )
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        start = scrub(content[:_SHOWN].decode(errors="replace"))
        text = f"no chat completion ({type(error).__name__}): {start!r}"
        raise Passing(text, billed=True) from None


def _finish(choice: Mapping[str, Any], message: Mapping[str, Any]) -> str:
    if message.get("refusal") and not message.get("content"):
        return "refusal"
    return str(choice.get("finish_reason") or "")


def _logprobs(choice: Mapping[str, Any]) -> dict[str, Any]:
    """Return the first tokens and the alternatives of the first one, where they came along."""
    positions = ((choice.get("logprobs") or {}).get("content")) or []
    if not positions:
        return {}
    top = positions[0].get("top_logprobs") or []
    return {
        "tokens": tuple(str(position["token"]) for position in positions[:2]),
        "top": tuple((str(entry["token"]), float(entry["logprob"])) for entry in top),
    }


def _of_status(error: openai.APIStatusError, logprobs: bool) -> Exception:
    status, said = error.status_code, _said(error)
    text = f"HTTP {status}: {said}"
    if status in (400, 403) and any(word in said for word in _FILTERED):
        return Rejected(text, filtered=True)
    if status == 429 and any(word in said for word in _SPENT):
        return Hopeless(text)
    if status in _PASSING:
        retry_after = parse_retry_after(error.response.headers)
        return Passing(text, retry_after=retry_after, slow_down=status in _SLOW_DOWN)
    wrong_model = status in (400, 422) and "model_not_found" in said
    if status in _REFUSING or wrong_model:
        return Hopeless(text)
    if status >= 500:
        return Passing(text)
    return Rejected(text, logprobs=logprobs and "logprobs" in said)


def _said(error: openai.APIStatusError) -> str:
    """Return what the endpoint says about an error, short and without key."""
    said = " ".join(error.response.text.split())
    return scrub(said)[:_SHOWN]


def _of_connection(error: Exception) -> Exception:
    for cause in _causes(error):
        if isinstance(cause, ssl.SSLCertVerificationError):
            return Hopeless(f"its certificate is refused ({cause.verify_message})")
    last = list(_causes(error))[-1]
    text = scrub(f"{type(last).__name__}: {last}".strip(": "))[:_SHOWN]
    # A connection that broke after the request went out may have been answered and paid.
    began = any(word in type(c).__name__ for c in _causes(error) for word in ("Read", "Protocol"))
    return Passing(text, billed=began)


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def parse_retry_after(headers: Mapping[str, str]) -> float | None:
    """Return the seconds that a reply asks to wait: in milliseconds, seconds, or as a date."""
    for name, unit in (("retry-after-ms", 1e-3), ("retry-after", 1.0)):
        value = headers.get(name, "")
        try:
            return max(0.0, float(value) * unit)
        except ValueError:
            pass
        if date := email.utils.parsedate_tz(value):
            return max(0.0, email.utils.mktime_tz(date) - time.time())
    return None
