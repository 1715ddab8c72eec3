"""Slowing down and coming back: what an endpoint that has too many requests is spared."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from personae.api.requests import Message
from personae.base.errors import PersonaeError
from personae.endpoints.ask import ask_all
from personae.endpoints.chat_request import make_body
from personae.endpoints.runtime import Runtime

from .asking import ask, texts
from .misbehaving import Endpoint, Reply, completion, failure

Serve = Callable[..., Endpoint]
Make = Callable[..., Runtime]


def later(seconds: float, text: str = "fine") -> Reply:
    """Answer after a while."""
    return Reply(200, completion(text).body, delay=seconds)


def prompts(name: str, count: int) -> list[str]:
    """Return some prompts."""
    return [f"{name} {i}" for i in range(count)]


def test_after_many_answers_a_refusal_really_halves_what_is_in_flight(
    serve: Serve, runtime: Make
) -> None:
    """Answers at full speed count nothing: the ones after the refusal bring requests back."""
    refused: list[float] = []

    def behave(body: dict[str, Any], before: int) -> Reply:
        if len(endpoint.times) >= 80 and not refused:
            refused.append(time.monotonic())
            return failure(429)
        return later(0.15)

    endpoint = serve(behave)
    run = runtime(endpoint.url, concurrency=8)
    assert texts(ask(run, prompts("p", 200))) == ["fine"] * 200
    assert max(endpoint.flights[:80]) >= 7
    later_on = [
        flight
        for flight, at in zip(endpoint.flights, endpoint.times, strict=True)
        if at > refused[0] + 0.1  # what was let out when the refusal was on its way has come
    ]
    # Four at a time, then five, ...
    assert max(later_on[:4]) <= 5
    assert max(later_on[:9]) <= 6
    assert max(later_on[-60:]) >= 7


def test_a_window_that_is_closed_longer_than_all_attempts_loses_no_request(
    serve: Serve, runtime: Make
) -> None:
    """429 without Retry-After until the window opens: attempts are for other failures."""
    endpoint = serve(
        lambda body, _: failure(429) if time.monotonic() - endpoint.times[0] < 1.5 else later(0.0)
    )
    run = runtime(endpoint.url, attempts=1, concurrency=8)
    assert texts(ask(run, prompts("p", 40))) == ["fine"] * 40
    assert set(endpoint.answered.values()) == {1}
    # Pauses are shared and double: 16 workers that try again by themselves would ask far more.
    refused = [t for t in endpoint.times if t - endpoint.times[0] < 1.5]
    assert len(refused) < 40


def test_an_endpoint_that_does_nothing_but_ask_to_slow_down_is_left_in_the_end(
    serve: Serve, runtime: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("personae.endpoints.request_batch.PATIENCE", 0.5)
    endpoint = serve(lambda body, _: failure(429, "slow down"))
    start = time.monotonic()
    with pytest.raises(PersonaeError, match=r"nothing but HTTP 429.* for 0 minutes") as error:
        ask(runtime(endpoint.url), prompts("p", 400))
    assert "\n" not in str(error.value)
    assert 0.5 <= time.monotonic() - start < 10.0
    assert endpoint.asked.total() < 40


def test_an_endpoint_that_asks_for_an_hour_is_not_asked_again(serve: Serve, runtime: Make) -> None:
    def behave(body: dict[str, Any], before: int) -> Reply:
        if body["messages"][0]["content"] == "p 5":
            return failure(429, Retry_After="3600")
        return later(0.05)

    endpoint = serve(behave)
    run = runtime(endpoint.url, concurrency=2)
    with pytest.raises(
        PersonaeError, match=r"asks to wait 60 minutes .HTTP 429.* are kept"
    ) as error:
        ask(run, prompts("p", 40))
    assert "\n" not in str(error.value)
    assert endpoint.asked.total() <= 8
    endpoint.behave = lambda body, _: later(0.0)
    assert texts(ask(run, prompts("p", 40))) == ["fine"] * 40
    # All but the refused one were asked once.
    assert sorted(endpoint.asked.values()) == [1] * 39 + [2]


def test_patience_begins_anew_with_every_answer(
    serve: Serve, runtime: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One request is refused for longer than the patience, while others are answered."""
    monkeypatch.setattr("personae.endpoints.request_batch.PATIENCE", 0.4)

    def behave(body: dict[str, Any], before: int) -> Reply:
        if body["messages"][0]["content"] == "p 0" and time.monotonic() - endpoint.times[0] < 1.0:
            return failure(503)
        return later(0.1)

    endpoint = serve(behave)
    assert texts(ask(runtime(endpoint.url, concurrency=2), prompts("p", 30))) == ["fine"] * 30
    endpoint.behave = lambda body, _: failure(503)
    with pytest.raises(PersonaeError, match="nothing but HTTP 503"):
        ask(runtime(endpoint.url), ["alone"])


def test_a_line_now_and_then_says_how_things_stand(
    serve: Serve, runtime: Make, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "personae")
    monkeypatch.setattr("personae.endpoints.request_batch._CHECK_SECONDS", 0.1)
    monkeypatch.setattr("personae.endpoints.request_batch._CHECKS_PER_LINE", 2)
    endpoint = serve(lambda body, before: later(0.1) if before else failure(500))
    run = runtime(endpoint.url, concurrency=2, price_in=1.0, price_out=1.0)
    ask(run, prompts("p", 10))
    lines = [record.getMessage() for record in caplog.records if "judge: " in record.getMessage()]
    assert len(lines) >= 3
    *between, last = lines
    counts = [int(line.split()[1]) for line in lines]
    assert counts == sorted(counts)
    assert 0 < counts[1] < 10
    assert all(" of 10 answers" in line and "2 at a time" in line for line in between)
    assert "10 of 10 answers" in last
    assert "10 retried (HTTP 500 x10)" in last
    assert "paid $0.0001" in last


def test_two_endpoints_at_once_know_nothing_of_each_other(serve: Serve, runtime: Make) -> None:
    """One is slow and busy and one is well, in one process, with one database."""
    busy = serve(lambda body, before: later(0.05, "busy") if before else failure(429))
    well = serve(lambda body, _: later(0.01, "well"))
    wrong = serve(lambda body, _: failure(401))
    run = runtime(busy.url, concurrency=2)
    own = {"well": well, "wrong": wrong}
    for name, endpoint in own.items():
        settings = run.endpoints["judge"].model_copy(update={"base_url": endpoint.url})
        run.endpoints[name] = settings  # type: ignore[index]
    found: dict[str, object] = {}

    def send(name: str) -> None:
        bodies = [
            make_body(run.endpoints[name], [Message(role="user", content=prompt)])
            for prompt in prompts("p", 30)
        ]
        try:
            found[name] = texts(ask_all(name, bodies, run))
        except PersonaeError as error:
            found[name] = error

    threads = [threading.Thread(target=send, args=(name,)) for name in ("judge", "well", "wrong")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert found["judge"] == ["busy"] * 30
    assert found["well"] == ["well"] * 30
    assert "endpoints.wrong" in str(found["wrong"])
    assert set(busy.answered.values()) == set(well.asked.values()) == {1}
    assert well.times[-1] < busy.times[-1]
