"""What an error of an endpoint means for this request and for all others."""

from __future__ import annotations

import email.utils
import json
import ssl
import time
from collections.abc import Iterator, Mapping
from typing import Any, Final, Protocol

from personae.endpoints.keys import scrub

_SHOWN: Final = 200  # characters of what an endpoint says about an error
_PASSING: Final = frozenset((408, 409, 425, 429, 500, 502, 503, 504, 520, 521, 522, 524, 529))
_SLOW_DOWN: Final = frozenset((429, 503, 529))
_REFUSING: Final = frozenset((401, 402, 403, 404))
_FILTERED: Final = ("content_filter", "content_policy", "ResponsibleAIPolicy", "moderation")
_SPENT: Final = ("insufficient_quota", "billing_hard_limit")
_WRONG: Final = ("model_not_found", "API_KEY_INVALID")
_TOO_LARGE: Final = "Request too large"  # for the limit per minute, at any time
_ECHOES: Final = frozenset(("input", "flagged_input"))  # fields that repeat the request


class Response(Protocol):
    """What is looked at of a reply."""

    @property
    def text(self) -> str: ...
    @property
    def headers(self) -> Mapping[str, str]: ...


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


def shown(text: str) -> str:
    """Return the beginning of what an endpoint says, on one line and without key."""
    return scrub(" ".join(text.split()))[:_SHOWN]


def of_refusal(status: int, response: Response, logprobs: bool) -> Passing | Rejected | Hopeless:
    """Return what a refusal means; ``logprobs`` says whether the request asked for them.

    The status may be that of the body alone: OpenRouter's errors come with HTTP status 200.
    """
    text = f"HTTP {status}: {shown(response.text)}"
    # All of it: what tells errors apart stands behind hundreds of characters of advice.
    said = _telling(response.text)
    if status in (400, 403) and any(word in said for word in _FILTERED):
        return Rejected(text, filtered=True)
    if status in (400, 429) and any(word in said for word in _SPENT):
        return Hopeless(text)
    if status == 429 and _TOO_LARGE in said:
        return Rejected(text)
    if status in _PASSING:
        retry_after = parse_retry_after(response.headers)
        return Passing(text, retry_after=retry_after, slow_down=status in _SLOW_DOWN)
    if status in _REFUSING or (status in (400, 422) and any(word in said for word in _WRONG)):
        return Hopeless(text)
    if status >= 500:
        return Passing(text)
    return Rejected(text, logprobs=logprobs and "logprobs" in said)


def _telling(text: str) -> str:
    """Return what an error says but for what it repeats of the request, which may hold any word."""

    def own(fields: dict[str, Any]) -> dict[str, Any]:
        return {name: value for name, value in fields.items() if name not in _ECHOES}

    try:
        return json.dumps(json.loads(text, object_hook=own), ensure_ascii=False)
    except (ValueError, RecursionError):
        return text


def of_connection(error: Exception) -> Passing | Hopeless:
    """Return what a connection that failed means."""
    for cause in _causes(error):
        if isinstance(cause, ssl.SSLCertVerificationError):
            return Hopeless(f"its certificate is refused ({cause.verify_message})")
    last = list(_causes(error))[-1]
    # A connection that broke after the request went out may have been answered and paid.
    words = ("Read", "Protocol", "Decoding")
    began = any(word in type(c).__name__ for c in _causes(error) for word in words)
    return Passing(shown(f"{type(last).__name__}: {last}".strip(": ")), billed=began)


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
