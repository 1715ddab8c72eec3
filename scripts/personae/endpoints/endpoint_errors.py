"""The meaning of an endpoint's error: for this request, for all requests, or transient.

Providers word the same refusal differently, so errors are classified by status, named fields and
key words. If the meaning is unclear, only this request fails, and the next run sends it again.
"""

from __future__ import annotations

import email.utils
import json
import re
import ssl
import time
from collections.abc import Iterator, Mapping
from typing import Any, Final

from personae.endpoints.keys import scrub

_SHOWN: Final = 200  # characters of an error that are shown
_PASSING: Final = frozenset((408, 409, 425))
_SLOW_DOWN: Final = frozenset((429, 503, 529))
_REFUSING: Final = frozenset((401, 402, 403, 404))
_BAD_REQUEST: Final = frozenset((400, 403, 406, 422, 451))
_ECHOES: Final = frozenset(("input", "flagged_input"))  # fields that repeat the request
_FILTERED: Final = re.compile(
    r"content[ _-]?(filter|policy|management|moderation)|moderation|responsible ?ai|safety"
    r"|usage (guideline|polic)|flagged|violat|prohibited (content|use)|inappropriate",
    re.IGNORECASE,
)
_NO_CREDIT: Final = re.compile(
    r"insufficient[ _](quota|credit|balance|funds)|billing_hard_limit|credit balance",
    re.IGNORECASE,
)
_RATE: Final = re.compile(r"rate[ _-]?limit|too many requests", re.IGNORECASE)
_OVERLOADED: Final = re.compile(r"overloaded|unavailable|capacity|try again", re.IGNORECASE)
_WRONG: Final = re.compile(
    r"model_not_found|api[ _]key[ _](not[ _]valid|invalid)|(no such|unknown|invalid) model"
    r"|model .{0,80}(does not exist|not found)",
    re.IGNORECASE,
)
_TOO_LARGE: Final = re.compile(r"request too large|context.{0,9}(length|window)|too long", re.I)
_UNSUPPORTED: Final = re.compile(
    r"(un|not )support|unrecognized|unknown|unexpected|extra (input|field)|extra_forbidden|invalid"
    r"|not (allowed|permitted|available|enabled)|minimum|at least|must be|deprecated|too large",
    re.IGNORECASE,
)
_LIMIT_NAMES: Final = ("max_tokens", "max_completion_tokens", "max_output_tokens")


class EndpointError(Exception):
    """Base of the errors of a request; the text contains no key."""


class SlowDownError(EndpointError):
    """The endpoint asks to slow down; ``retry_after`` is in seconds, or None."""

    def __init__(self, text: str, retry_after: float | None = None) -> None:
        super().__init__(text)
        self.retry_after = retry_after


class TransientError(EndpointError):
    """A retry may succeed; ``billed`` if this request may have been charged."""

    def __init__(
        self, text: str, *, retry_after: float | None = None, billed: bool = False
    ) -> None:
        super().__init__(text)
        self.retry_after, self.billed = retry_after, billed


class RejectedError(EndpointError):
    """This request is always refused; ``reason`` is that of a `Failure`."""

    def __init__(self, text: str, reason: str = "api_error") -> None:
        super().__init__(text)
        self.reason = reason


class LogprobsRefusedError(EndpointError):
    """The endpoint returns no log-probabilities."""


class EndpointRefusedError(EndpointError):
    """Every request is refused; ``remedy`` names the setting to change.

    If it is not ``certain`` and other requests were answered, only this request is refused.
    """

    def __init__(self, text: str, remedy: str, *, certain: bool = True) -> None:
        super().__init__(text)
        self.remedy, self.certain = remedy, certain


def excerpt(text: str) -> str:
    """Return the beginning of a text from an endpoint, on one line and without keys."""
    return scrub(" ".join(text.split()))[:_SHOWN]


def classify(
    status: int, text: str, headers: Mapping[str, str], body: Mapping[str, Any]
) -> EndpointError:
    """Return the error that a refusal means.

    Parameters
    ----------
    status
        HTTP status, or from `status_within`.
    text, headers
        Text and headers of the reply.
    body
        The request.
    """
    # The whole text is searched, since the key words may come after a page of advice.
    shown, said = f"HTTP {status}: {excerpt(text)}", _without_echo(text)
    if status in _BAD_REQUEST:
        if body.get("logprobs") and "logprobs" in said.lower():
            return LogprobsRefusedError(shown)
        if _FILTERED.search(said):
            return RejectedError(shown, "filtered")
    if status < 500 and _NO_CREDIT.search(said):
        return EndpointRefusedError(shown, "check the account")
    if status < 500 and _TOO_LARGE.search(said):
        return RejectedError(shown)
    if status in _SLOW_DOWN or (status in _BAD_REQUEST and _RATE.search(said)):
        return SlowDownError(shown, parse_retry_after(headers))
    if status >= 500 or status in _PASSING:
        return TransientError(shown, retry_after=parse_retry_after(headers))
    if status in _BAD_REQUEST and (remedy := _refused_field(said, body)):
        return EndpointRefusedError(shown, remedy, certain=False)
    if status in _REFUSING or (status in _BAD_REQUEST and _WRONG.search(said)):
        return EndpointRefusedError(shown, "check base_url, model and key", certain=status != 403)
    return RejectedError(shown)


def status_within(content: bytes) -> int | None:
    """Return the HTTP status of an error inside a reply with status 200; None if there is none."""
    if b"error" not in content:
        return None
    try:
        record = json.loads(content)
        record = record[0] if isinstance(record, list) else record
        error = record.get("error") or (record if record.get("object") == "error" else None)
    except (ValueError, LookupError, AttributeError, RecursionError):
        return None
    if not error or record.get("choices"):
        return None
    named = error if isinstance(error, dict) else {}
    for code in (named.get("code"), named.get("status"), record.get("code"), record.get("status")):
        if re.fullmatch("[45][0-9][0-9]", text := str(code)):
            return int(text)
    text = content.decode(errors="replace")
    meanings = ((_RATE, 429), (_NO_CREDIT, 402), (_FILTERED, 400), (_OVERLOADED, 503))
    return next((status for words, status in meanings if words.search(text)), 500)


def of_connection(error: Exception) -> TransientError | EndpointRefusedError:
    """Return the error that a failed connection means."""
    causes = list(_causes(error))
    for cause in causes:
        if isinstance(cause, ssl.SSLCertVerificationError):
            text = f"its certificate is refused ({cause.verify_message})"
            return EndpointRefusedError(text, "check base_url and the certificate")
    # A connection that broke after the request was sent may have been answered and billed.
    words = ("Read", "Protocol", "Decoding")
    began = any(word in type(cause).__name__ for cause in causes for word in words)
    text = f"{type(causes[-1]).__name__}: {causes[-1]}".strip(": ")
    return TransientError(excerpt(text), billed=began)


def parse_retry_after(headers: Mapping[str, str]) -> float | None:
    """Return the requested waiting time in seconds; it may be given in other units or as a date."""
    for name, unit in (("retry-after-ms", 1e-3), ("retry-after", 1.0)):
        value = headers.get(name, "")
        try:
            return max(0.0, float(value) * unit)
        except ValueError:
            pass
        if date := email.utils.parsedate_tz(value):
            return max(0.0, email.utils.mktime_tz(date) - time.time())
    return None


def _without_echo(text: str) -> str:
    """Return an error without the parts that repeat the request, which may contain any word."""

    def own(fields: dict[str, Any]) -> dict[str, Any]:
        return {name: value for name, value in fields.items() if name not in _ECHOES}

    try:
        return json.dumps(json.loads(text, object_hook=own), ensure_ascii=False)
    except (ValueError, RecursionError):
        return text


def _refused_field(said: str, body: Mapping[str, Any]) -> str | None:
    """Return the remedy for an error about an unsupported field of the request."""
    if not _UNSUPPORTED.search(said):
        return None
    names = [name for name in body if name not in ("model", "messages", *_LIMIT_NAMES)]
    found = next((name for name in (*_LIMIT_NAMES, *names) if re.search(rf"\b{name}\b", said)), "")
    if found not in _LIMIT_NAMES:
        own = found in ("temperature", "seed")
        remedy = f"set {found} to null" if own else f"remove {found} from extra_body"
        return remedy if found else None
    other = "max_completion_tokens"
    if other in said and "max_tokens" in body:
        return f"set max_tokens_field to {other}"
    return f"change max_tokens (now {body.get('max_tokens') or body.get(other)})"


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
