"""Whatever ends a batch: nothing more is sent, and what is on the way and paid for is kept."""

from __future__ import annotations

import errno
import os
import resource
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from personae.base.errors import PersonaeError
from personae.base.process_identity import ProcessIdentity
from personae.endpoints.answer_store import AnswerStore
from personae.endpoints.concurrency_slots import Slots
from personae.endpoints.rate_limit import Pace
from personae.endpoints.runtime import Runtime

from .asking import ask, texts
from .misbehaving import Endpoint, Reply, completion, failure

Serve = Callable[..., Endpoint]
Make = Callable[..., Runtime]
SLOW = [f"slow {i}" for i in range(3)]
MANY = [f"p{i}" for i in range(100)]


def first_fast(body: dict[str, Any], before: int) -> Reply:
    """Answer slow prompts late."""
    late = body["messages"][-1]["content"].startswith("slow")
    return Reply(200, completion("fine").body, delay=0.6 if late else 0.0)


def breaking(monkeypatch: pytest.MonkeyPatch, kind: type, name: str, error: Exception) -> None:
    """Let a method fail once all of the slow requests are on their way."""
    method, start = getattr(kind, name), time.monotonic()

    def broken(*args: Any, **kwargs: Any) -> Any:
        if time.monotonic() - start > 0.3:
            raise error
        return method(*args, **kwargs)

    monkeypatch.setattr(kind, name, broken)


FULL = OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize(
    ("kind", "name"),
    [(Pace, "answered"), (Pace, "_glance"), (Slots, "_count"), (Slots, "_take")],
    ids=lambda value: value if isinstance(value, str) else value.__name__,
)
def test_limits_that_cannot_be_kept_end_the_batch_in_one_line_and_lose_no_answer(
    serve: Serve,
    runtime: Make,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    kind: type,
    name: str,
) -> None:
    def behave(body: dict[str, Any], before: int) -> Reply:
        reply = first_fast(body, before)
        return reply if reply.delay else Reply(200, reply.body, delay=0.05)

    endpoint = serve(behave)
    run = runtime(endpoint.url, concurrency=4)
    with monkeypatch.context() as patch:
        breaking(patch, kind, name, FULL)
        with pytest.raises(PersonaeError, match="No space left on device") as error:
            ask(run, [*SLOW, *MANY])
    assert "\n" not in str(error.value)
    assert str(tmp_path / "limits") in str(error.value)
    assert endpoint.asked.total() < 80
    assert texts(ask(run, [*SLOW, *MANY])) == ["fine"] * 103
    assert set(endpoint.asked.values()) == {1}


def test_an_unforeseen_error_is_raised_when_the_answers_on_the_way_are_kept(
    serve: Serve, runtime: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    endpoint = serve(first_fast)
    run = runtime(endpoint.url, concurrency=4)
    keep = AnswerStore.keep

    async def broken(self: AnswerStore, key: str, *args: Any) -> None:
        if len(endpoint.times) > 20:
            monkeypatch.setattr(AnswerStore, "keep", keep)
            raise RuntimeError("nobody thought of this")
        await keep(self, key, *args)

    monkeypatch.setattr(AnswerStore, "keep", broken)
    with pytest.raises(RuntimeError, match="nobody thought of this"):
        ask(run, [*SLOW, *MANY])
    assert endpoint.asked.total() < 40
    assert texts(ask(run, SLOW)) == ["fine"] * 3
    assert [endpoint.asked[prompt] for prompt in SLOW] == [1, 1, 1]


def test_a_process_that_may_open_no_more_files_says_so_and_loses_no_answer(
    serve: Serve, runtime: Make, tmp_path: Path
) -> None:
    endpoint = serve(lambda body, _: Reply(200, completion("fine").body, delay=0.1))
    run = runtime(endpoint.url, concurrency=60, attempts=2)
    ask(run, ["before"])
    if (child := os.fork()) == 0:
        before = resource.getrlimit(resource.RLIMIT_NOFILE)
        most = len(os.listdir("/proc/self/fd")) + 45
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, before[1]))
        said, code = "", 0
        try:
            ask(run, MANY)
        except PersonaeError as error:
            said, code = str(error), 3
        except BaseException as error:
            said, code = repr(error), 4
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
        (tmp_path / "said").write_text(said)
        os._exit(code)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 3, (tmp_path / "said").read_text()
    said = (tmp_path / "said").read_text()
    assert "Too many open files" in said
    assert "ulimit -n" in said
    assert "\n" not in said
    assert 0 < endpoint.answered.total() < 100
    assert texts(ask(run, MANY)) == ["fine"] * 100
    assert set(endpoint.answered.values()) == {1}


def claims(run: Runtime) -> int:
    """Return how many requests this process claims."""
    with closing(sqlite3.connect(run.answers / "answers.sqlite")) as connection:
        rows = connection.execute("SELECT owner FROM claims").fetchall()
    return sum(ProcessIdentity.parse(owner) == ProcessIdentity.here() for (owner,) in rows)


@pytest.mark.parametrize(
    "fault",
    [failure(401), failure(422, "logprobs are not supported"), failure(400)],
    ids=["refused", "no logprobs", "too many failures"],
)
def test_a_batch_that_ends_claims_nothing_any_more(
    serve: Serve, runtime: Make, fault: Reply
) -> None:
    endpoint = serve(lambda body, _: fault)
    run = runtime(endpoint.url, extra_body={"logprobs": True})
    with pytest.raises(PersonaeError):
        ask(run, MANY, most_failures=2)
    assert claims(run) == 0


def test_a_request_that_is_given_up_is_free_for_others_at_once(serve: Serve, runtime: Make) -> None:
    held: list[int] = []

    def behave(body: dict[str, Any], before: int) -> Reply:
        if body["messages"][-1]["content"] == "bad":
            return failure(400)
        held.append(claims(run))
        return Reply(200, completion("fine").body, delay=0.3)

    endpoint = serve(behave)
    run = runtime(endpoint.url, concurrency=1)
    assert texts(ask(run, ["bad", "a", "b"])) == [None, "fine", "fine"]
    # The first may go out before; the last knows of itself alone.
    assert held[-1] == 1
    assert claims(run) == 0
