"""Read answers of chat models from replies. An incomplete reply is never an answer."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, Final

from personae.endpoints.endpoint_errors import TransientError, excerpt
from personae.endpoints.keys import scrub

STOPPED: Final = frozenset(
    ("", "stop", "stop_sequence", "eos", "eos_token", "end_turn", "complete", "completed")
)
"""Finish reasons of a complete answer; any other one counts as cut off."""
# Finish reasons of OpenRouter, vLLM and DeepSeek for a truncated answer, which may look complete.
_BROKEN_OFF: Final = frozenset(("error", "abort", "insufficient_system_resource"))
_TEXT_PARTS: Final = frozenset(("text", "output_text"))
_REASONING_PARTS: Final = frozenset(("thinking", "reasoning"))
_MOST_TOKENS: Final = 2**31  # a larger count is a mistake of the endpoint
_NO_MASS: Final = -9999.0  # log-probability of zero as JSON can hold it; vLLM writes the same
_SURROGATE: Final = re.compile("[\ud800-\udfff]")
_THINK: Final = r"(?:think|thinking|reasoning)[>\]]"
_THOUGHTS: Final = re.compile(rf"[<\[]{_THINK}", re.IGNORECASE)
_THOUGHTS_END: Final = re.compile(rf"[<\[]/{_THINK}", re.IGNORECASE)
_END_TOKENS: Final = re.compile(r"(?:\s|<\|[^|<>]*\|>|</s>|<end_of_turn>|<eos>)*\Z")


@dataclass(frozen=True)
class ChatAnswer:
    """An answer of a chat model.

    Attributes
    ----------
    text
        The message; empty when there is none.
    finish_reason
        ``stop``, ``length``, ``content_filter``, ...
    tokens
        The first token of the text with a letter or digit, and the next one; empty if the reply
        has no log-probabilities of the text.
    top
        Most likely tokens at the first of these positions with their log-probabilities (nats).
    model
        Name of the model in the reply.
    prompt_tokens, completion_tokens
        As reported by the endpoint; None if it reports none.
    """

    text: str
    finish_reason: str
    tokens: tuple[str, ...] = ()
    top: tuple[tuple[str, float], ...] = ()
    model: str = ""
    prompt_tokens: int | None = None
    completion_tokens: int | None = None

    @property
    def is_blank(self) -> bool:
        """Whether the text is empty although the model finished, which is a server fault."""
        return not self.text.strip() and self.finish_reason.lower() in STOPPED

    def to_json(self) -> str:
        """Return the answer as text."""
        return json.dumps(vars(self), ensure_ascii=False, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> ChatAnswer:
        """Read what `to_json` wrote."""
        record = json.loads(text)
        record["tokens"] = tuple(record["tokens"])
        record["top"] = tuple((token, value) for token, value in record["top"])
        return cls(**record)


@dataclass(frozen=True)
class Failure:
    """Why there is no answer: ``filtered`` or ``api_error``, and the error without keys.

    Failures are not stored: the next run sends the request again.
    """

    reason: str
    detail: str


def read_answer(content: bytes) -> ChatAnswer:
    """Return the answer in the body of a reply.

    Raises
    ------
    TransientError
        If the body is not a complete chat completion. It may have been billed.
    """
    try:
        record = json.loads(content)
        choice = record["choices"][0]
        message = choice["message"]
        finish = _clean(choice.get("finish_reason") or "")
        text = _text(message.get("content"))
        refusal = "" if text else _text(message.get("refusal"))
        usage = record.get("usage")
        answer = ChatAnswer(
            text=_clean(text or refusal),
            finish_reason="refusal" if refusal else finish,
            **_logprobs(choice, text),
            model=_clean(record.get("model", "")),
            prompt_tokens=_count(usage, "prompt_tokens"),
            completion_tokens=_count(usage, "completion_tokens"),
        )
    except (ValueError, LookupError, TypeError, AttributeError, OverflowError, RecursionError) as e:
        raise _unusable(f"no chat completion ({type(e).__name__})", content) from None
    if finish.lower() in _BROKEN_OFF:
        raise _unusable(f"the endpoint broke off ({finish})", content)
    return answer


def spoken_text(text: str) -> str:
    """Return the text after the last thought of a reasoning model; "" if a thought does not end."""
    # A chat template may open the first thought in the prompt, so only its end must be present.
    spoken = _THOUGHTS_END.split(text)[-1]
    return "" if _THOUGHTS.search(spoken) else spoken


def _unusable(why: str, content: bytes) -> TransientError:
    said = excerpt(content.decode(errors="replace"))
    return TransientError(f"{why}: {said!r}", billed=True)


def _text(content: Any) -> str:
    """Return a message's content: a text, a list of parts, or nothing."""
    if content is None or isinstance(content, str):
        return content or ""
    known = _TEXT_PARTS | _REASONING_PARTS
    if not isinstance(content, list) or any(part["type"] not in known for part in content):
        raise TypeError("the message is not text")
    return "".join(part["text"] for part in content if part["type"] in _TEXT_PARTS)


def _clean(value: object) -> str:
    """Return a text without keys and without lone surrogates, which cannot be written to files."""
    text = scrub(str(value))
    return text if text.isascii() else _SURROGATE.sub("\ufffd", text)


def _count(usage: Any, name: str) -> int | None:
    """Return a number of tokens; None if it is missing or not a count."""
    count = usage.get(name) if isinstance(usage, Mapping) else None
    return count if type(count) is int and 0 <= count < _MOST_TOKENS else None


def _logprobs(choice: Mapping[str, Any], text: str) -> dict[str, Any]:
    """Return the fields ``tokens`` and ``top`` of an answer, if the reply has them."""
    positions = ((choice.get("logprobs") or {}).get("content")) or []
    first = _first_word([str(position["token"]) for position in positions], text)
    if first is None:
        return {}
    top = positions[first].get("top_logprobs") or []
    return {
        "tokens": tuple(_clean(position["token"]) for position in positions[first : first + 2]),
        "top": tuple((_clean(entry["token"]), _finite(entry["logprob"])) for entry in top),
    }


def _first_word(tokens: Sequence[str], text: str) -> int | None:
    """Return the position of the first token of ``text`` with a letter or digit.

    Some endpoints also list the tokens of the reasoning, or only those: None if the tokens do not
    end with the text.
    """
    whole, spoken = _END_TOKENS.sub("", "".join(tokens)), spoken_text(text).strip()
    if not spoken or not whole.endswith(spoken):
        return None
    begin = len(whole) - len(spoken)
    for position, end in enumerate(accumulate(map(len, tokens))):
        if end > begin and any(c.isalnum() for c in tokens[position]):
            return position
    return None


def _finite(value: Any) -> float:
    """Return a log-probability; one that is not finite counts as zero probability."""
    found = float(value)
    return found if math.isfinite(found) else _NO_MASS
