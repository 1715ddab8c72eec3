"""Requests for tests, and the plain way to send them."""

from __future__ import annotations

from collections.abc import Sequence

from personae.api.requests import Message
from personae.endpoints.ask import Outcome, ask_all
from personae.endpoints.chat_answer import ChatAnswer
from personae.endpoints.chat_request import make_body
from personae.endpoints.runtime import Runtime


def ask(runtime: Runtime, prompts: Sequence[str], **options: int) -> list[Outcome]:
    """Send one request per prompt."""
    endpoint = runtime.endpoints["judge"]
    bodies = [make_body(endpoint, [Message(role="user", content=text)]) for text in prompts]
    return ask_all("judge", bodies, runtime, **options)


def texts(outcomes: Sequence[Outcome]) -> list[str | None]:
    """Return the texts of answers, None where there is a failure."""
    return [o.text if isinstance(o, ChatAnswer) else None for o in outcomes]
