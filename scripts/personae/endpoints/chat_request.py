"""Requests to chat models: body, key of the answer, and upper bounds of tokens."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from personae.api.requests import Message
from personae.endpoints.endpoint_settings import Endpoint

Body = Mapping[str, Any]
"""The JSON body of a request."""

TOP: Final = 20
"""Number of alternatives per token; no provider returns more."""
SEEDS: Final = 2**31
"""Number of seeds; some providers read them as 32-bit integers or as floats."""
_TOKEN_OVERHEAD: Final = 256  # maximum tokens that a chat template adds to a message
_BYTES_PER_TOKEN: Final = 4.0
_UNLIMITED: Final = 2**17  # maximum tokens of an answer without a limit, at any provider


def make_body(endpoint: Endpoint, messages: Sequence[Message], **overrides: Any) -> dict[str, Any]:
    """Return the body of a request that continues ``messages``.

    Parameters
    ----------
    overrides
        Fields that replace the endpoint's settings; None removes a field. ``max_tokens`` is sent
        under the endpoint's name for it.
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


def answer_key(base_url: str, body: Body) -> str:
    """Return the key of an answer: a hash of the address and the whole request."""
    text = json.dumps([base_url.rstrip("/"), body], sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def most_tokens(body: Body) -> tuple[int, int]:
    """Return upper bounds of the tokens of a request and of its answer.

    A token is at least one byte. An endpoint may use either name of the limit, and returns ``n``
    answers if that is set.
    """
    size = sum(len(m["content"].encode()) + _TOKEN_OVERHEAD for m in body["messages"])
    limits = [int(body.get(name) or 0) for name in ("max_tokens", "max_completion_tokens")]
    return size, (max(limits) or _UNLIMITED) * max(1, int(body.get("n") or 1))


def likely_prompt_tokens(body: Body) -> float:
    """Return an estimate of the tokens of a request."""
    return most_tokens(body)[0] / _BYTES_PER_TOKEN
