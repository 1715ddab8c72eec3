"""Every fault of an endpoint: no made-up answer, none lost, none paid twice."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest

from personae.base.errors import PersonaeError
from personae.endpoints.answer_database import AnswerDatabase
from personae.endpoints.chat_answer import Failure
from personae.endpoints.runtime import Runtime
from personae.endpoints.spending import Budget

from .asking import ask, texts
from .conftest import KEY
from .misbehaving import Endpoint, Reply, completion, failure

Serve = Callable[..., Endpoint]
Make = Callable[..., Runtime]
PROMPTS = [f"prompt {i}" for i in range(12)]


def echo(body: dict[str, Any]) -> Reply:
    """Answer with the prompt, so that an answer to another question would show."""
    return completion(f"said {body['messages'][-1]['content']}")


def first(fault: Reply, times: int = 1) -> Callable[[dict[str, Any], int], Reply]:
    """Meet every request with a fault before it is answered."""
    return lambda body, before: fault if before < times else echo(body)


EXPECTED = [f"said {prompt}" for prompt in PROMPTS]
WELL = completion("never mind").body
PASSING = {
    "429": failure(429, Retry_After="0"),
    "500": failure(500),
    "502 that is no JSON": Reply(502, b"<html>Bad gateway</html>"),
    "503 with Retry-After": failure(503, Retry_After="0.2"),
    "503 with a date": failure(503, Retry_After=formatdate(time.time(), usegmt=True)),
    "reset in mid-body": Reply(200, WELL, cut=40),
    "stall": Reply(200, WELL, delay=1.2),
    "JSON cut short": Reply(200, WELL[:60]),
    "not JSON": Reply(200, b"hello"),
    "empty choices": Reply(200, b'{"id": "x", "choices": []}'),
    "null message": Reply(200, b'{"choices": [{"message": null}]}'),
    "a list": Reply(200, b"[1, 2]"),
}


@pytest.mark.parametrize("fault", PASSING.values(), ids=list(PASSING))
def test_a_passing_fault_is_tried_again_and_each_answer_comes_once(
    serve: Serve, runtime: Make, fault: Reply
) -> None:
    endpoint = serve(first(fault))
    run = runtime(endpoint.url, timeout=0.6, concurrency=12)
    assert texts(ask(run, PROMPTS)) == EXPECTED
    assert set(endpoint.asked.values()) == {2}
    before = endpoint.asked.total()
    assert texts(ask(run, PROMPTS)) == EXPECTED
    assert endpoint.asked.total() == before


STAYING = {name: fault for name, fault in PASSING.items() if fault.status not in (429, 503)}


@pytest.mark.parametrize("fault", STAYING.values(), ids=list(STAYING))
def test_a_fault_that_stays_is_a_failure_with_words_and_without_key(
    serve: Serve, runtime: Make, fault: Reply
) -> None:
    endpoint = serve(lambda body, _: fault if "3" in str(body["messages"]) else echo(body))
    outcomes = ask(runtime(endpoint.url, timeout=0.4, attempts=2), PROMPTS)
    failed = [o for o in outcomes if isinstance(o, Failure)]
    assert [o.reason for o in failed] == ["api_error"]
    assert failed[0].detail
    assert KEY not in failed[0].detail
    # The failure is not kept: when the endpoint works, only that one is asked again.
    before = endpoint.asked.total()
    endpoint.behave = lambda body, _: echo(body)
    assert texts(ask(runtime(endpoint.url), PROMPTS)) == EXPECTED
    assert endpoint.asked.total() == before + 1


def test_a_burst_of_429_halves_the_requests_in_flight_and_waits_as_asked(
    serve: Serve, runtime: Make
) -> None:
    def busy(body: dict[str, Any], before: int) -> Reply:
        early = time.monotonic() - endpoint.times[0] < 0.1
        return failure(429, Retry_After="0.5") if early else echo(body)

    endpoint = serve(busy)
    prompts = [f"burst {i}" for i in range(24)]
    outcomes = ask(runtime(endpoint.url, concurrency=8), prompts)
    assert texts(outcomes) == [f"said {prompt}" for prompt in prompts]
    start = endpoint.times[0]
    refused = [t for t in endpoint.times if t - start < 0.1]
    later = [t for t in endpoint.times if t - start >= 0.1]
    assert len(refused) <= 8
    assert min(later) - max(refused) >= 0.4
    assert set(endpoint.answered.values()) == {1}


def test_a_request_that_is_ready_heeds_the_refusal_of_the_one_before(
    serve: Serve, runtime: Make
) -> None:
    endpoint = serve(
        lambda body, _: failure(429, Retry_After="0.6") if len(endpoint.times) == 1 else echo(body)
    )
    prompts = [f"p{i}" for i in range(4)]
    assert len(ask(runtime(endpoint.url, concurrency=1), prompts)) == 4
    assert endpoint.times[1] - endpoint.times[0] >= 0.5


def test_a_redirected_request_stays_one_request(serve: Serve, runtime: Make) -> None:
    target = serve(lambda body, _: echo(body))
    endpoint = serve(
        lambda body, _: Reply(307, b"", headers={"Location": f"{target.url}/chat/completions"})
    )
    run = runtime(endpoint.url, Budget(requests=6), concurrency=2)
    prompts = [f"p{i}" for i in range(6)]
    assert texts(ask(run, prompts)) == [f"said {prompt}" for prompt in prompts]
    with AnswerDatabase(run.answers) as store:
        assert store.spent("study").requests == 6


def test_an_invalid_key_stops_at_once_with_one_line(serve: Serve, runtime: Make) -> None:
    endpoint = serve(lambda body, _: failure(401, f"Incorrect API key provided: {KEY}"))
    with pytest.raises(PersonaeError, match="PLANTED_KEY") as error:
        ask(runtime(endpoint.url, concurrency=4), [f"p{i}" for i in range(200)])
    assert KEY not in str(error.value)
    assert "\n" not in str(error.value)
    assert endpoint.asked.total() <= 4


@pytest.mark.parametrize(
    "fault",
    [failure(404, "no such model"), failure(400, "model_not_found"), failure(402, "pay first"),
     failure(403), failure(429, "insufficient_quota")],
    ids=["404", "400", "402", "403", "quota"],
)  # fmt: skip
def test_what_every_request_would_meet_stops_at_once(
    serve: Serve, runtime: Make, fault: Reply
) -> None:
    endpoint = serve(lambda body, _: fault)
    with pytest.raises(PersonaeError, match="refuses model 'judge'") as error:
        ask(runtime(endpoint.url, concurrency=2), [f"p{i}" for i in range(50)])
    assert "\n" not in str(error.value)
    assert endpoint.asked.total() <= 2


def test_answers_on_the_way_when_the_batch_ends_are_kept(serve: Serve, runtime: Make) -> None:
    def behave(body: dict[str, Any], before: int) -> Reply:
        if "bad" in str(body["messages"]):
            return failure(401)
        return Reply(200, completion("late").body, delay=0.4)

    endpoint = serve(behave)
    run = runtime(endpoint.url, concurrency=4)
    with pytest.raises(PersonaeError, match="refuses"):
        ask(run, ["slow 0", "slow 1", "slow 2", "bad", *PROMPTS])
    assert texts(ask(run, ["slow 0", "slow 1", "slow 2"])) == ["late"] * 3
    assert [endpoint.asked[f"slow {i}"] for i in range(3)] == [1, 1, 1]


def test_an_expired_certificate_stops_at_once_and_is_named(
    serve: Serve, runtime: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate = Path(__file__).with_name("expired.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    endpoint = serve(lambda body, _: echo(body), certificate)
    with pytest.raises(PersonaeError, match="certificate has expired") as error:
        ask(runtime(endpoint.url), PROMPTS)
    assert "\n" not in str(error.value)
    assert endpoint.asked.total() == 0


def test_nobody_there_ends_the_batch_soon(runtime: Make) -> None:
    with pytest.raises(PersonaeError, match="requests failed"):
        ask(runtime("http://127.0.0.1:9/v1", attempts=1), [f"p{i}" for i in range(500)])


def test_more_failures_than_allowed_end_the_batch(serve: Serve, runtime: Make) -> None:
    endpoint = serve(lambda body, before: failure(400, "too long"))
    with pytest.raises(PersonaeError, match="3 of 50 requests failed"):
        ask(runtime(endpoint.url, concurrency=1), [f"p{i}" for i in range(50)], most_failures=2)
    assert endpoint.asked.total() <= 4


@pytest.mark.parametrize("words", ["content_filter", "ResponsibleAIPolicyViolation"])
def test_a_request_that_a_filter_refuses_says_so(serve: Serve, runtime: Make, words: str) -> None:
    endpoint = serve(lambda body, _: failure(400, words))
    (outcome,) = ask(runtime(endpoint.url), ["x"])
    assert isinstance(outcome, Failure)
    assert outcome.reason == "filtered"
    assert endpoint.asked.total() == 1


def test_keys_never_leave_the_headers(
    serve: Serve, runtime: Make, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The endpoint repeats the key in errors and answers; no file and no log holds it."""
    caplog.set_level(logging.DEBUG)

    def behave(body: dict[str, Any], before: int) -> Reply:
        if before == 0:
            return failure(500, f"Bearer {KEY} is fine, we are not")
        if "p3" in str(body["messages"]):
            return failure(400, f"{KEY} may not ask that")
        return completion(f"your key is {KEY}")

    endpoint = serve(behave)
    outcomes = ask(runtime(endpoint.url), [f"p{i}" for i in range(5)])
    assert all(KEY in headers["authorization"] for headers in endpoint.headers)
    assert KEY not in repr(outcomes)
    assert KEY not in caplog.text
    written = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert any(path.name == "answers.sqlite" for path in written)
    assert not [path for path in written if KEY.encode() in path.read_bytes()]
