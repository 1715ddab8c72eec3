"""Errors and answers that providers put in words and forms of their own are read by meaning."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from personae.base.errors import PersonaeError
from personae.endpoints.answer_database import AnswerDatabase
from personae.endpoints.ask import NoLogprobsError, ask_all
from personae.endpoints.chat_answer import ChatAnswer, Failure, read_answer
from personae.endpoints.endpoint_errors import (
    EndpointRefusedError,
    RejectedError,
    SlowDownError,
    TransientError,
    classify,
    status_within,
)
from personae.endpoints.runtime import Runtime
from personae.endpoints.spending import Budget

from .asking import ask, texts
from .misbehaving import Endpoint, Reply, completion, message, refusal

Serve = Callable[..., Endpoint]
Make = Callable[..., Runtime]
BODY = {"model": "m", "messages": [], "temperature": 0.0, "max_tokens": 8, "reasoning": "low"}


def said(text: str, **more: Any) -> dict[str, Any]:
    """Return an error as most providers wrap it."""
    return {"error": {"message": text, **more}}


@pytest.mark.parametrize(
    ("status", "text"),
    [(403, "Logprobs may not be requested for this model"), (400, "LOGPROBS are not enabled"),
     (422, "parameter logprobs: not supported"), (400, "top_logprobs is not available here")],
)  # fmt: skip
def test_refused_logprobs_are_told_from_a_refused_endpoint(
    serve: Serve, runtime: Make, status: int, text: str
) -> None:
    endpoint = serve(lambda body, _: refusal(status, said(text)))
    run = runtime(endpoint.url)
    bodies = [{"model": "m", "messages": [{"content": "x"}], "logprobs": True, "max_tokens": 5}]
    with pytest.raises(NoLogprobsError):
        ask_all("judge", bodies, run)
    assert endpoint.asked.total() == 1


@pytest.mark.parametrize(
    ("text", "remedy"),
    [
        ("Unsupported: 'max_tokens'; use 'max_completion_tokens'", "set max_tokens_field"),
        ("max_output_tokens: below the minimum of 16", r"change max_tokens \(now 8\)"),
        ("temperature: only the default (1) is supported, other values are not supported",
         "set temperature to null"),
        ("Unknown field: reasoning", "remove reasoning from extra_body"),
    ],
)  # fmt: skip
def test_a_field_that_is_not_supported_ends_the_batch_with_the_setting_to_change(
    serve: Serve, runtime: Make, text: str, remedy: str
) -> None:
    endpoint = serve(lambda body, _: refusal(400, said(text, type="invalid_request_error")))
    run = runtime(
        endpoint.url, concurrency=2, max_tokens=8, extra_body={"reasoning": "low"}, attempts=1
    )
    with pytest.raises(PersonaeError, match=f"refuses model.*{remedy}") as error:
        ask(run, [f"p{i}" for i in range(50)])
    assert "\n" not in str(error.value)
    assert endpoint.asked.total() <= 2


def test_a_request_too_long_for_the_context_is_refused_alone() -> None:
    text = "max_tokens is too large: 8. The context length is 4096 and the prompt has 4095 tokens"
    assert type(classify(400, json.dumps(said(text)), {}, BODY)) is RejectedError


@pytest.mark.parametrize(
    ("status", "record"),
    [
        (403, {"code": "denied", "error": "The content violates our usage guidelines"}),
        (400, {"type": "error", "error": {"message": "blocked by the content filtering policy"}}),
        (422, said("flagged by moderation")),
        (451, said("withheld for safety reasons")),
        (200, said("The response was stopped: content policy")),
    ],
)
def test_a_filter_makes_one_answer_unscored_and_the_node_goes_on(
    serve: Serve, runtime: Make, status: int, record: dict[str, Any]
) -> None:
    def behave(body: dict[str, Any], before: int) -> Reply:
        bad = body["messages"][-1]["content"] == "bad"
        return refusal(status, record) if bad else completion("fine")

    endpoint = serve(behave)
    bad, good = ask(runtime(endpoint.url, concurrency=1), ["bad", "good"], most_failures=0)
    assert isinstance(bad, Failure)
    assert bad.reason == "filtered"
    assert isinstance(good, ChatAnswer)
    assert endpoint.asked["bad"] == 1


def test_a_403_that_says_nothing_ends_the_batch_only_where_nothing_was_answered(
    serve: Serve, runtime: Make
) -> None:
    endpoint = serve(
        lambda body, _: (
            refusal(403, said("no"))
            if body["messages"][-1]["content"] == "bad"
            else completion("fine")
        )
    )
    run = runtime(endpoint.url, concurrency=1)
    assert texts(ask(run, ["a", "b", "bad", "c"])) == ["fine", "fine", None, "fine"]
    with pytest.raises(PersonaeError, match="refuses model"):
        ask(run, ["bad"])


@pytest.mark.parametrize(
    ("record", "status"),
    [
        (said("Rate limit exceeded", code="429"), 429),
        (said("Too many requests, slow down", code="rate_limit_exceeded"), 429),
        ({"error": "rate limit reached"}, 429),
        ([said("The model is overloaded", code=503)], 503),
        ({"object": "error", "message": "no such thing", "code": 404}, 404),
        (said("the server is overloaded"), 503),
        (said("insufficient credits"), 402),
        (said("something odd"), 500),
        ({"error": None, "choices": [{"message": {"content": "error"}}]}, None),
        ({"choices": [{"message": {"content": "an error"}}]}, None),
    ],
)
def test_an_error_in_a_reply_with_status_200_is_read_by_meaning(
    record: object, status: int | None
) -> None:
    assert status_within(json.dumps(record).encode()) == status


def test_a_rate_limit_with_status_200_is_waited_for_and_not_billed(
    serve: Serve, runtime: Make
) -> None:
    busy = refusal(200, said("Rate limit exceeded", code="429"))
    endpoint = serve(lambda body, n: busy if n < 3 else completion("fine"))
    run = runtime(endpoint.url, Budget(cost=1.0), attempts=1, price_in=0.0, price_out=1.0)
    assert texts(ask(run, ["x"])) == ["fine"]
    with AnswerDatabase(run.answers) as database:
        assert database.spent("study").cost == pytest.approx(2 / 1e6)


def test_what_every_provider_agrees_on() -> None:
    refused, busy, passing = EndpointRefusedError, SlowDownError, TransientError
    kinds = {401: refused, 404: refused, 429: busy, 503: busy, 500: passing, 408: passing}
    kinds[400] = RejectedError
    assert {s: type(classify(s, "what?", {}, BODY)) for s in kinds} == kinds


@pytest.mark.parametrize("empty", [completion(""), message({"content": None}), completion(" ")])
def test_an_empty_answer_is_tried_again_and_never_kept(
    serve: Serve, runtime: Make, empty: Reply
) -> None:
    endpoint = serve(lambda body, n: empty if n == 0 else completion("fine"))
    assert texts(ask(runtime(endpoint.url), ["x"])) == ["fine"]
    endpoint.behave = lambda body, _: empty
    assert texts(ask(runtime(endpoint.url), ["y"])) == [None]
    assert endpoint.asked["y"] == 3  # each of them may have been billed
    endpoint.behave = lambda body, _: completion("well")
    assert texts(ask(runtime(endpoint.url), ["y"])) == ["well"]


def test_an_empty_answer_that_an_earlier_version_kept_is_asked_for_again(
    serve: Serve, runtime: Make
) -> None:
    endpoint = serve(lambda body, _: completion(""))
    run = runtime(endpoint.url)
    bodies = [{"model": "m", "messages": [{"content": "x"}], "max_tokens": 5}]
    for _ in range(2):
        assert texts(ask_all("judge", bodies, run, may_be_blank=True)) == [""]
    assert endpoint.asked["x"] == 1  # for a generator it is an answer
    endpoint.behave = lambda body, _: completion("well")
    assert texts(ask_all("judge", bodies, run)) == ["well"]


def listed(*tokens: str, last: dict[str, float]) -> dict[str, Any]:
    """Return log-probabilities of tokens, with alternatives at the last one."""
    top = [{"token": token, "logprob": value} for token, value in last.items()]
    return {
        "content": [
            {"token": t, "logprob": 0.0, "top_logprobs": top if i == len(tokens) - 1 else []}
            for i, t in enumerate(tokens)
        ]
    }


@pytest.mark.parametrize(
    ("tokens", "text", "first"),
    [
        (("85",), "85", "85"),
        ((" ", "85"), "85", "85"),
        (("\n", "85"), "\n85", "85"),
        (("**", "85"), "**85", "85"),
        (("<think>", "maybe 40", "</think>", "\n\n", "85"), "85", "85"),
        (("<think>", "maybe 40", "</think>", "85"), "<think>maybe 40</think>85", "85"),
        (("Okay, so",), "85", None),
        (("Okay", ", 40"), "85", None),
    ],
)
def test_the_token_that_is_weighed_belongs_to_the_text(
    tokens: tuple[str, ...], text: str, first: str | None
) -> None:
    last = {"85": -0.1, "80": -2.4}
    answer = read_answer(completion(text, logprobs=listed(*tokens, last=last)).body)
    assert answer.text == text
    assert (answer.tokens[0] if answer.tokens else None) == first
    assert answer.top == (tuple(last.items()) if first else ())
