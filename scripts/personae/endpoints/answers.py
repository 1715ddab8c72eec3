"""What is sent to a chat model, what comes back, and the key under which it is kept."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from personae.api.requests import Message
from personae.endpoints.endpoint_settings import Endpoint

Body = Mapping[str, Any]
"""A whole request, as it goes over the wire."""

TOP: Final = 20
"""How many of the likeliest tokens are asked for; more is offered nowhere."""
SEEDS: Final = 2**31
"""Number of seeds: endpoints read them as integers of 32 or 64 bits, or as floats."""
_TOKEN_OVERHEAD: Final = 256  # tokens that an endpoint adds to a message, generously
_BYTES_PER_TOKEN: Final = 4.0
_UNLIMITED: Final = 2**17  # tokens of an answer without a limit; no endpoint's own limit is higher


@dataclass(frozen=True)
class Answer:
    """What a chat model said.

    Attributes
    ----------
    text
        The message; empty when there is none.
    finish_reason
        ``stop``, ``length``, ``content_filter``, ...
    tokens
        The first two tokens of the text, where log-probabilities came along.
    top
        Likeliest tokens of the first position with their log-probabilities (nats).
    model
        Name that the endpoint gives the model.
    prompt_tokens, completion_tokens
        As the endpoint counts; None where it does not.
    """

    text: str
    finish_reason: str
    tokens: tuple[str, ...] = ()
    top: tuple[tuple[str, float], ...] = ()
    model: str = ""
    prompt_tokens: int | None = None
    completion_tokens: int | None = None

    def to_json(self) -> str:
        """Return the answer as text."""
        return json.dumps(vars(self), ensure_ascii=False, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> Answer:
        """Read what `to_json` wrote."""
        record = json.loads(text)
        record["tokens"] = tuple(record["tokens"])
        record["top"] = tuple((token, value) for token, value in record["top"])
        return cls(**record)


@dataclass(frozen=True)
class Failure:
    """Why there is no answer: ``filtered`` or ``api_error``, and the error in words, without key.

    A failure is not kept: the next run asks again.
    """

    reason: str
    detail: str


@dataclass(frozen=True)
class Charge:
    """What a request counts and costs (US dollars)."""

    requests: int = 0
    cost: float = 0.0
    prompt_tokens: int = 0
    completion_tokens: int = 0

    def beyond(self, other: Charge) -> Charge:
        """Return this charge less another."""
        return Charge(
            self.requests - other.requests,
            self.cost - other.cost,
            self.prompt_tokens - other.prompt_tokens,
            self.completion_tokens - other.completion_tokens,
        )


@dataclass(frozen=True)
class Budget:
    """The most that a study may send and pay; None is any."""

    requests: int | None = None
    cost: float | None = None

    def __bool__(self) -> bool:
        return self.requests is not None or self.cost is not None


@dataclass(frozen=True)
class Prices:
    """US dollars per token."""

    prompt: float = 0.0
    completion: float = 0.0

    @classmethod
    def of(cls, endpoint: Endpoint) -> Prices:
        """Return the prices of an endpoint, zero where none is given."""
        return cls((endpoint.price_in or 0.0) / 1e6, (endpoint.price_out or 0.0) / 1e6)

    def charge(self, body: Body, answer: Answer) -> Charge:
        """Return what an answer cost; tokens that the endpoint does not count cost their bound."""
        most_prompt, most_completion = most_tokens(body)
        prompt = most_prompt if answer.prompt_tokens is None else answer.prompt_tokens
        completion = (
            most_completion if answer.completion_tokens is None else answer.completion_tokens
        )
        return Charge(1, self._cost(prompt, completion), prompt, completion)

    def bound(self, body: Body) -> float:
        """Return the most that a request can cost."""
        return self._cost(*most_tokens(body))

    def _cost(self, prompt: int, completion: int) -> float:
        return prompt * self.prompt + completion * self.completion


def make_body(endpoint: Endpoint, messages: Sequence[Message], **overrides: Any) -> dict[str, Any]:
    """Return the request that asks ``endpoint`` to continue ``messages``.

    Parameters
    ----------
    overrides
        Fields that take the place of the endpoint's own (``max_tokens`` by that name always);
        None removes one.
    """
    limit = overrides.pop("max_tokens", endpoint.max_tokens)
    fields = {
        "model": endpoint.model,
        "messages": [message.model_dump() for message in messages],
        "temperature": endpoint.temperature,
        endpoint.max_tokens_field: limit,
        "seed": endpoint.seed,
        **endpoint.extra_body,
        **overrides,
    }
    return {name: value for name, value in fields.items() if value is not None}


def digest(base_url: str, body: Body) -> str:
    """Return the name of an answer: a hash of all that determines it."""
    text = json.dumps([base_url.rstrip("/"), body], sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def most_tokens(body: Body) -> tuple[int, int]:
    """Return the most tokens that a request and its answer can have.

    No tokenizer in use makes more tokens than there are bytes. What endpoints add (a template, a
    system prompt of their own) is assumed to be short. An endpoint may heed either of two limits,
    and makes ``n`` answers where that is asked for.
    """
    size = sum(len(m["content"].encode()) + _TOKEN_OVERHEAD for m in body["messages"])
    limits = [int(body.get(name) or 0) for name in ("max_tokens", "max_completion_tokens")]
    return size, (max(limits) or _UNLIMITED) * max(1, int(body.get("n") or 1))


def likely_tokens(body: Body) -> float:
    """Return about how many tokens a request uses up of a limit on tokens per minute."""
    size, limit = most_tokens(body)
    return size / _BYTES_PER_TOKEN + limit
