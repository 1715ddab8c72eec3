"""How endpoints answer a judge in practice, and what is right: a score, a reason, or one line.

Each mode is served over HTTP to the chat judge. Providers word the same thing in their own ways;
these are their forms with our words.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock

from personae.base.errors import PersonaeError
from personae.endpoints.endpoint_settings import Endpoint as Settings
from personae.endpoints.runtime import Runtime
from personae.endpoints.spending import Budget
from personae.judging.chat_judge import ChatJudge
from personae.judging.judge_types import JudgeItem, coherence_rubric, role_rubric
from personae.judging.rubrics import load_rubric_templates

from ..unit.endpoints.misbehaving import Behaviour, Endpoint, Reply, completion, message, refusal

ROOT = Path(__file__).resolve().parents[2]
_TEMPLATES = load_rubric_templates("config/judging/rubrics", ROOT)
_ROLE = role_rubric("pirate", "A pirate who loves the sea.")
_ITEMS = [JudgeItem("first", "Who are you?", "Arr."), JudgeItem("second", "Why?", "The sea!")]
_FINE, _FIRST = completion("It is plain.\nVERDICT: 85"), "Arr."


@dataclass(frozen=True)
class Mode:
    """What an endpoint does, and what the judge must make of the first of two answers.

    Attributes
    ----------
    name
        Of the mode.
    behave
        What the endpoint replies.
    score, reason, mode
        The verdict: score 0-100 (coherence) or 0-3 (role adherence), or why there is none.
    refused
        Words of the one line that ends the node instead.
    asked
        Most requests that both answers may cost.
    mended
        Whether a later run, whose endpoint works, gets the first answer scored.
    settings
        Of the endpoint.
    """

    name: str
    behave: Behaviour
    score: float | None = None
    reason: str | None = None
    mode: str = "text"
    refused: str = ""
    asked: int = 2
    mended: bool = False
    is_role: bool = False
    settings: dict[str, Any] = field(default_factory=dict)


def _said(status: int, text: str, **more: Any) -> Reply:
    return refusal(status, {"error": {"message": text, **more}})


def _without(field_: str, no: Reply) -> Behaviour:
    """Refuse every request that has a field."""
    return lambda body, before: no if body.get(field_) is not None else _FINE


def _of_first(reply: Reply) -> Behaviour:
    """Reply so to the first answer, and well to the other one."""
    return lambda body, before: reply if _FIRST in body["messages"][-1]["content"] else _FINE


def _short(body: dict[str, Any], before: int) -> Reply:
    """Refuse a limit below 16 tokens."""
    text = "max_output_tokens is below the minimum: expected 16 or more"
    return _said(400, text) if body["max_tokens"] < 16 else _FINE


def _tokens(*tokens: tuple[str, dict[str, float]]) -> dict[str, Any]:
    return {
        "content": [
            {
                "token": token,
                "logprob": 0.0,
                "top_logprobs": [{"token": t, "logprob": v} for t, v in top.items()],
            }
            for token, top in tokens
        ]
    }


_LOGPROBS = {"logprobs": True}
_THOUGHT = message(
    {"content": "85", "reasoning_content": "Well now"},
    logprobs=_tokens(("Well", {"Well": -0.01})),
)
_SPACE = completion("85", logprobs=_tokens((" ", {" ": -0.001}), ("85", {"85": -0.1, "80": -2.4})))
_WEIGHED = (85 * math.exp(-0.1) + 80 * math.exp(-2.4)) / (math.exp(-0.1) + math.exp(-2.4))
_BUSY = _said(200, "The rate limit was exceeded", code="429")

MODES: tuple[Mode, ...] = (
    Mode(
        "logprobs are forbidden (403)",
        _without("logprobs", _said(403, "This model may not be asked for logprobs", param=None)),
        85.0, asked=4, settings=_LOGPROBS,
    ),
    Mode(
        "logprobs are not enabled (400, a list)",
        _without("logprobs", Reply(400, json.dumps(
            [{"error": {"code": 400, "message": "Logprobs is not enabled for models/tiny"}}]
        ).encode())),
        85.0, asked=4, settings=_LOGPROBS,
    ),
    Mode("a least number of tokens", _short, 85.0, settings=_LOGPROBS | {"max_tokens": 64}),
    Mode(
        "max_tokens goes by another name",
        _without("max_tokens", _said(
            400, "Unsupported parameter 'max_tokens'; use 'max_completion_tokens'",
            code="unsupported_parameter",
        )),
        refused="set max_tokens_field to max_completion_tokens",
    ),
    Mode(
        "the temperature is fixed",
        _without("temperature", _said(
            400, "'temperature' does not support 0.0; only the default (1) is supported",
            code="unsupported_value",
        )),
        refused="set temperature to null",
    ),
    Mode("log-probabilities of a thought", lambda b, n: _THOUGHT, 85.0, settings=_LOGPROBS),
    Mode(
        "an empty answer that claims to be whole", _of_first(message({"content": None})),
        reason="api_error", asked=4, mended=True,
    ),
    Mode(
        "a filter (403)",
        _of_first(refusal(403, {"code": "denied", "error": "This violates the usage guidelines"})),
        reason="filtered", mended=True,
    ),
    Mode(
        "a filter in other words (400)",
        _of_first(refusal(400, {"type": "error", "error": {
            "type": "invalid_request_error", "message": "Blocked by the content filtering policy",
        }})),
        reason="filtered", mended=True,
    ),
    Mode(
        "a rate limit with status 200", lambda b, n: _BUSY if n == 0 else _FINE, 85.0, asked=4,
    ),
    Mode(
        "a space before the number", lambda b, n: _SPACE, _WEIGHED, mode="logprobs",
        settings=_LOGPROBS,
    ),
    Mode(
        "the form is copied", lambda b, n: completion("Yes.\nVERDICT: <level: 3>"), 3.0,
        is_role=True,
    ),
    Mode(
        "the verdict is explained", lambda b, n: completion("VERDICT: 3 (fully playing)"), 3.0,
        is_role=True,
    ),
    Mode(
        "no verdict", _of_first(completion("I would say 85.")), reason="parse_failure", mended=True,
    ),
    Mode(
        "cut off", _of_first(completion("VERDICT: 8", finish="length")), reason="truncated",
        mended=True,
    ),
)  # fmt: skip


def check_mode(mode: Mode, folder: Path) -> list[str]:
    """Judge two answers at an endpoint of this mode; return one line for everything wrong.

    Parameters
    ----------
    folder
        An empty folder, for the database of answers.
    """
    with Endpoint(mode.behave) as endpoint, _short_pauses():
        judge = _judge(endpoint.url, folder, mode.settings)
        wrong = _check_once(mode, judge, endpoint)
        if mode.mended:
            endpoint.behave = lambda body, before: _FINE
            (found, _) = judge.score([coherence_rubric()], _ITEMS)
            if found.score != 85.0:
                wrong.append(f"a later run does not ask again: {found.score}, {found.reason}")
    return [f"{mode.name}: {line}" for line in wrong]


def check_modes(folder: Path) -> list[str]:
    """Check all modes; return one line for everything wrong."""
    return [
        line
        for number, mode in enumerate(MODES)
        for line in check_mode(mode, folder / str(number))[:1]
    ]


def _check_once(mode: Mode, judge: ChatJudge, endpoint: Endpoint) -> list[str]:
    try:
        verdicts = judge.score([_ROLE if mode.is_role else coherence_rubric()], _ITEMS)
    except PersonaeError as error:
        one_line = bool(mode.refused) and mode.refused in str(error) and "\n" not in str(error)
        return [] if one_line else [f"it ends with {error}"]
    first, second = verdicts
    wrong = [f"it must end with {mode.refused!r}"] if mode.refused else []
    if endpoint.asked.total() > mode.asked:
        wrong.append(f"{endpoint.asked.total()} requests, at most {mode.asked} are right")
    as_wanted = first.score == mode.score or (
        None not in (first.score, mode.score) and math.isclose(first.score or 0, mode.score or 0)
    )
    if not as_wanted or first.reason != mode.reason or first.mode != mode.mode:
        wrong.append(f"score {first.score}, reason {first.reason}, mode {first.mode}")
    if second.score is None:
        wrong.append(f"the other answer has no score ({second.reason})")
    return wrong


def _judge(url: str, folder: Path, settings: dict[str, Any]) -> ChatJudge:
    fields = {"timeout": 5.0, "attempts": 4, **settings}
    endpoint = Settings(base_url=url, model="judge", key_variable=None, **fields)
    runtime = Runtime("study", {"judge": endpoint}, folder, Budget(), 1.0, folder)
    return ChatJudge("judge", runtime, _TEMPLATES)


@contextmanager
def _short_pauses() -> Iterator[None]:
    """Let no test wait for what waits for a real endpoint."""
    with ExitStack() as stack:
        for module in ("retry_policy", "request_limits"):
            stack.enter_context(mock.patch(f"personae.endpoints.{module}._FIRST_PAUSE", 0.02))
        yield
