"""From the body of a reply to an answer: what is no whole answer is never taken for one."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import Any, Final

from personae.endpoints.answers import Answer
from personae.endpoints.error_meaning import Passing, shown
from personae.endpoints.keys import scrub

# As OpenRouter, vLLM and DeepSeek say it; the text until then may look whole.
_BROKEN_OFF: Final = frozenset(("error", "abort", "insufficient_system_resource"))
_SPOKEN: Final = frozenset(("text", "output_text"))
_THOUGHT: Final = frozenset(("thinking", "reasoning"))
_MOST_TOKENS: Final = 2**31  # more is a mistake of the endpoint
_NEVER: Final = -9999.0  # a log-probability of nought that JSON can hold, as vLLM writes it
_SURROGATE: Final = re.compile("[\ud800-\udfff]")


def refusal_within(content: bytes) -> int | None:
    """Return the HTTP status in the body of a reply that is an error and says it is none."""
    if b'"error"' not in content:
        return None
    try:
        record = json.loads(content)
        status = None if record.get("choices") else record["error"]["code"]
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return None
    return status if type(status) is int and 400 <= status < 600 else None


def read_answer(content: bytes) -> Answer:
    """Return the answer in the body of a reply.

    Raises
    ------
    Passing
        When it is no whole chat completion: such a reply may have been paid for.
    """
    try:
        record = json.loads(content)
        choice = record["choices"][0]
        message = choice["message"]
        finish = _clean(choice.get("finish_reason") or "")
        text = _text(message.get("content"))
        refusal = "" if text else _text(message.get("refusal"))
        usage = record.get("usage")
        answer = Answer(
            text=_clean(text or refusal),
            finish_reason="refusal" if refusal else finish,
            **_logprobs(choice),
            model=_clean(record.get("model", "")),
            prompt_tokens=_count(usage, "prompt_tokens"),
            completion_tokens=_count(usage, "completion_tokens"),
        )
    except (ValueError, LookupError, TypeError, AttributeError, OverflowError, RecursionError) as e:
        raise _useless(f"no chat completion ({type(e).__name__})", content) from None
    if finish.lower() in _BROKEN_OFF:
        raise _useless(f"the endpoint broke off ({finish})", content)
    return answer


def _useless(why: str, content: bytes) -> Passing:
    return Passing(f"{why}: {shown(content.decode(errors='replace'))!r}", billed=True)


def _text(content: Any) -> str:
    """Return a message's content, which is a text, a list of parts, or nothing."""
    if content is None or isinstance(content, str):
        return content or ""
    if not isinstance(content, list) or any(p["type"] not in _SPOKEN | _THOUGHT for p in content):
        raise TypeError("the message is no text")
    return "".join(part["text"] for part in content if part["type"] in _SPOKEN)


def _clean(value: object) -> str:
    """Return a text without key and without half characters, which no file can hold."""
    text = scrub(str(value))
    return text if text.isascii() else _SURROGATE.sub("\ufffd", text)


def _count(usage: Any, name: str) -> int | None:
    """Return a number of tokens; None where the endpoint gives none, or something else."""
    count = usage.get(name) if isinstance(usage, Mapping) else None
    if type(count) is int and 0 <= count < _MOST_TOKENS:
        return count
    return None


def _logprobs(choice: Mapping[str, Any]) -> dict[str, Any]:
    """Return the first tokens and the alternatives of the first one, where they came along."""
    positions = ((choice.get("logprobs") or {}).get("content")) or []
    if not positions:
        return {}
    top = positions[0].get("top_logprobs") or []
    return {
        "tokens": tuple(_clean(position["token"]) for position in positions[:2]),
        "top": tuple((_clean(entry["token"]), _finite(entry["logprob"])) for entry in top),
    }


def _finite(value: Any) -> float:
    """Return a log-probability; what is no number adds nothing to the mass of a score."""
    found = float(value)
    return found if math.isfinite(found) else _NEVER
