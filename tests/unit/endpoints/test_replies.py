"""Replies as endpoints really write them: what is an answer, what is none, what an error means."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from personae.base.errors import PersonaeError
from personae.endpoints.answer_database import AnswerDatabase
from personae.endpoints.chat_answer import ChatAnswer, Failure
from personae.endpoints.runtime import Runtime
from personae.endpoints.spending import Budget

from .asking import ask, texts
from .misbehaving import Endpoint, Reply, completion, first_logprobs, message, refusal

Serve = Callable[..., Endpoint]
Make = Callable[..., Runtime]

SPENT = {
    "error": {
        "message": "You exceeded your current quota, please check your plan and billing details. "
        "For more information on this error, read the docs: "
        "https://platform.openai.com/docs/guides/error-codes/api-errors.",
        "type": "insufficient_quota",
        "param": None,
        "code": "insufficient_quota",
    }
}
AZURE = {
    "error": {
        "message": "The response was filtered due to the prompt triggering Azure OpenAI's content "
        "management policy. Please modify your prompt and retry. To learn more about our content "
        "filtering policies please read our documentation: "
        "https://go.microsoft.com/fwlink/?linkid=2198766",
        "type": None,
        "param": "prompt",
        "code": "content_filter",
        "status": 400,
        "innererror": {
            "code": "ResponsibleAIPolicyViolation",
            "content_filter_result": {"violence": {"filtered": True, "severity": "medium"}},
        },
    }
}
FLAGGED = {
    "error": {
        "message": "openai/gpt-4o requires moderation on OpenRouter. Your input was flagged for "
        '"violence". No credits were charged.',
        "code": 403,
        "metadata": {"reasons": ["violence"], "flagged_input": "...", "model_slug": "gpt-4o"},
    }
}
NO_MODEL = {
    "error": {
        "message": "x" * 250,
        "type": "invalid_request_error",
        "param": "model",
        "code": "model_not_found",
    }
}
GEMINI = {
    "error": {
        "code": 400,
        "message": "API key not valid. Please pass a valid API key.",
        "status": "INVALID_ARGUMENT",
        "details": [
            {
                "@type": "type.googleapis.com/google.rpc.ErrorInfo",
                "reason": "API_KEY_INVALID",
                "domain": "googleapis.com",
            }
        ],
    }
}
# What pydantic says of a field that it does not know: it repeats what was sent.
ECHO = {"detail": [{"type": "extra_forbidden", "loc": ["body", "seed"], "input": "moderation"}]}
TOO_LARGE = {
    "error": {
        "message": "Request too large for gpt-4o in organization org-x on tokens per min (TPM): "
        "Limit 30000, Requested 41000. The input or output tokens must be reduced.",
        "type": "tokens",
        "param": None,
        "code": "rate_limit_exceeded",
    }
}


@pytest.mark.parametrize(
    ("status", "record"),
    [(429, SPENT), (400, NO_MODEL), (400, GEMINI)],
    ids=["quota", "model", "key"],
)
def test_what_stands_far_behind_in_an_error_still_ends_the_batch(
    serve: Serve, runtime: Make, status: int, record: dict[str, Any]
) -> None:
    endpoint = serve(lambda body, _: refusal(status, record))
    with pytest.raises(PersonaeError, match="refuses model"):
        ask(runtime(endpoint.url, concurrency=2), [f"p{i}" for i in range(30)])
    assert endpoint.asked.total() <= 2


@pytest.mark.parametrize(
    ("status", "record", "reason"),
    [
        (400, AZURE, "filtered"),
        (403, FLAGGED, "filtered"),
        (400, ECHO, "api_error"),
        (429, TOO_LARGE, "api_error"),
    ],
    ids=["azure", "openrouter", "an echo", "too large for a minute"],
)
def test_a_request_that_is_refused_for_good_is_asked_once_and_told_apart(
    serve: Serve, runtime: Make, status: int, record: dict[str, Any], reason: str
) -> None:
    endpoint = serve(lambda body, _: refusal(status, record))
    (outcome,) = ask(runtime(endpoint.url), ["x"])
    assert isinstance(outcome, Failure)
    assert outcome.reason == reason
    assert len(outcome.detail) <= 220
    assert endpoint.asked.total() == 1


@pytest.mark.parametrize("code", [429, 503], ids=str)
def test_a_refusal_in_the_body_alone_slows_down_and_costs_nothing(
    serve: Serve, runtime: Make, code: int
) -> None:
    """OpenRouter's errors may come with HTTP status 200."""
    record = {"error": {"code": code, "message": "Rate limit exceeded: free-models-per-min."}}
    endpoint = serve(lambda body, n: refusal(200, record) if n < 4 else completion("fine"))
    run = runtime(endpoint.url, Budget(cost=1.0), concurrency=2, price_in=1.0, price_out=1000.0)
    assert texts(ask(run, ["x"])) == ["fine"]
    with AnswerDatabase(run.answers) as store:
        spent = store.spent("study")
    assert spent.requests == 5
    assert spent.cost == pytest.approx((10 * 1.0 + 2 * 1000.0) / 1e6)


@pytest.mark.parametrize(
    ("record", "says"),
    [
        ({"error": {"code": 401, "message": "No auth credentials found"}}, "refuses model"),
        ({"error": {"code": 402, "message": "Insufficient credits"}}, "refuses model"),
    ],
    ids=["key", "credits"],
)
def test_a_refusal_in_the_body_alone_ends_the_batch_where_another_would(
    serve: Serve, runtime: Make, record: dict[str, Any], says: str
) -> None:
    endpoint = serve(lambda body, _: refusal(200, record))
    with pytest.raises(PersonaeError, match=says):
        ask(runtime(endpoint.url, concurrency=1), [f"p{i}" for i in range(30)])
    assert endpoint.asked.total() == 1


@pytest.mark.parametrize("word", ["error", "abort", "insufficient_system_resource", "ERROR"])
def test_a_text_that_the_endpoint_broke_off_is_never_an_answer(
    serve: Serve, runtime: Make, word: str
) -> None:
    """The text until then ends in a verdict, as one that quotes the rubric does."""
    endpoint = serve(lambda body, _: completion("VERDICT: 3", finish=word))
    run = runtime(endpoint.url, Budget(cost=1.0), price_in=1.0, price_out=1e4, max_tokens=10)
    (outcome,) = ask(run, ["x"])
    assert isinstance(outcome, Failure)
    assert f"broke off ({word})" in outcome.detail
    # It may have been paid for: tried three times in all, and none of them is free.
    assert endpoint.asked.total() == 3
    with AnswerDatabase(run.answers) as store:
        assert store.spent("study").cost >= 3 * 0.1
    endpoint.behave = lambda body, _: completion("VERDICT: 1")
    assert texts(ask(run, ["x"])) == ["VERDICT: 1"]


def test_a_refusal_comes_as_one(serve: Serve, runtime: Make) -> None:
    fields = {"content": None, "refusal": "I can't help with that."}
    endpoint = serve(lambda body, _: message(fields))
    (answer,) = ask(runtime(endpoint.url), ["x"])
    assert isinstance(answer, ChatAnswer)
    assert (answer.text, answer.finish_reason) == ("I can't help with that.", "refusal")
    endpoint.behave = lambda body, _: message({"content": "fine", "refusal": None})
    (answer,) = ask(runtime(endpoint.url), ["y"])
    assert isinstance(answer, ChatAnswer)
    assert (answer.text, answer.finish_reason) == ("fine", "stop")


def part(text: object, kind: str = "text") -> dict[str, Any]:
    """Return a part of a message."""
    return {"type": kind, "text": text}


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ([part("VERDICT"), part(": 3")], "VERDICT: 3"),
        ([{"type": "thinking", "thinking": []}, part("3", "output_text")], "3"),
        ([], None),
        (None, None),
        ([part("3"), {"type": "image_url", "image_url": {"url": "data:"}}], None),
        ([part(3)], None),
        (["3"], None),
        ({"text": "3"}, None),
        ({}, None),
        (3, None),
        (True, None),
    ],
    ids=["texts", "thoughts", "no part", "null", "image", "no text", "bare", "dict", "empty dict",
         "number", "true"],
)  # fmt: skip
def test_of_a_message_in_parts_the_texts_count(
    serve: Serve, runtime: Make, content: object, text: str | None
) -> None:
    endpoint = serve(lambda body, _: message({"content": content}))
    assert texts(ask(runtime(endpoint.url, attempts=1), ["x"])) == [text]


@pytest.mark.parametrize(
    "usage",
    [
        {"prompt_tokens": "10", "completion_tokens": None},
        {"prompt_tokens": 10.5, "completion_tokens": -2},
        {"prompt_tokens": True, "completion_tokens": 10**30},
        [10, 2],
        "none",
        None,
    ],
    ids=["words", "fractions", "beyond", "list", "text", "null"],
)
def test_counts_that_are_none_cost_what_they_can_at_most(
    serve: Serve, runtime: Make, usage: Any
) -> None:
    endpoint = serve(lambda body, _: completion("fine", usage=usage))
    run = runtime(
        endpoint.url, Budget(cost=1.0), price_in=0.0, price_out=1.0, max_tokens=50,
        tokens_per_minute=10**6,
    )  # fmt: skip
    (answer,) = ask(run, ["x"])
    assert isinstance(answer, ChatAnswer)
    assert (answer.text, answer.prompt_tokens, answer.completion_tokens) == ("fine", None, None)
    with AnswerDatabase(run.answers) as store:
        assert store.spent("study").cost == pytest.approx(50 / 1e6)


def test_half_a_character_is_replaced_and_the_answer_kept(serve: Serve, runtime: Make) -> None:
    """As a text that is cut between the two halves of an emoji comes out of JSON."""
    reply = completion("fine\ud83d", logprobs=first_logprobs(["fine", "\ud83d"], {"\ud83d": -0.1}))
    endpoint = serve(lambda body, _: reply)
    run = runtime(endpoint.url)
    for _ in range(2):
        (answer,) = ask(run, ["x"])
        assert isinstance(answer, ChatAnswer)
        assert (answer.text, answer.tokens) == ("fine\ufffd", ("fine", "\ufffd"))
        assert answer.top == (("\ufffd", -0.1),)
    assert endpoint.asked.total() == 1


@pytest.mark.parametrize(
    "body", [b"[" * 200_000, b'{"a":' * 200_000, b"9" * 5000], ids=["lists", "objects", "a number"]
)
def test_what_no_parser_can_hold_is_no_answer(serve: Serve, runtime: Make, body: bytes) -> None:
    endpoint = serve(lambda request, before: completion("fine") if before else Reply(200, body))
    assert texts(ask(runtime(endpoint.url), ["x", "y"])) == ["fine", "fine"]
    endpoint.behave = lambda request, before: Reply(500, body) if not before else completion("well")
    assert texts(ask(runtime(endpoint.url), ["z"])) == ["well"]


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")], ids=str)
def test_a_probability_that_is_no_number_has_no_mass(
    serve: Serve, runtime: Make, value: float
) -> None:
    reply = completion("70", logprobs=first_logprobs(["70"], {"70": value, "80": -0.5}))
    endpoint = serve(lambda body, _: reply)
    run = runtime(endpoint.url)
    (answer,) = ask(run, ["x"])
    assert isinstance(answer, ChatAnswer)
    assert answer.top == (("70", -9999.0), ("80", -0.5))
    json.loads(answer.to_json(), parse_constant=lambda word: pytest.fail(word))
