"""Whatever ends a batch: nothing more is sent, and what is on the way and paid for is kept."""

from __future__ import annotations

import os
import resource
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from personae.base.errors import PersonaeError
from personae.endpoints.answer_database import AnswerDatabase
from personae.endpoints.ask import ask_all
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


def test_an_unforeseen_error_is_raised_when_the_answers_on_the_way_are_kept(
    serve: Serve, runtime: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    endpoint = serve(first_fast)
    run = runtime(endpoint.url, concurrency=4)
    keep = AnswerDatabase.keep

    def broken(self: AnswerDatabase, key: str, *args: Any) -> None:
        if len(endpoint.times) > 20:
            monkeypatch.setattr(AnswerDatabase, "keep", keep)
            raise RuntimeError("nobody thought of this")
        keep(self, key, *args)

    monkeypatch.setattr(AnswerDatabase, "keep", broken)
    with pytest.raises(RuntimeError, match="nobody thought of this"):
        ask(run, [*SLOW, *MANY])
    assert endpoint.asked.total() < 40
    assert texts(ask(run, SLOW)) == ["fine"] * 3
    assert [endpoint.asked[prompt] for prompt in SLOW] == [1, 1, 1]


def test_a_process_that_may_open_no_more_files_says_so_and_loses_no_answer(
    serve: Serve, runtime: Make, tmp_path: Path
) -> None:
    endpoint = serve(lambda body, _: Reply(200, completion("fine").body, delay=0.5))
    run = runtime(endpoint.url, concurrency=60, attempts=1)
    ask(run, ["before"])
    if (child := os.fork()) == 0:
        before = resource.getrlimit(resource.RLIMIT_NOFILE)
        most = len(os.listdir("/proc/self/fd")) + 45
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, before[1]))
        said, code = "", 0
        try:
            ask(run, MANY, most_failures=0)
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
    assert "\n" not in said
    assert 0 < endpoint.answered.total() < 100
    assert texts(ask(run, MANY)) == ["fine"] * 100
    assert set(endpoint.answered.values()) == {1}


def claims(run: Runtime) -> int:
    """Return how many requests some node claims."""
    with closing(sqlite3.connect(run.answers / "answers.sqlite")) as connection:
        return int(connection.execute("SELECT COUNT(*) FROM asked").fetchone()[0])


@pytest.mark.parametrize(
    "fault",
    [failure(401), failure(422, "logprobs are not supported"), failure(400)],
    ids=["refused", "no logprobs", "too many failures"],
)
def test_a_batch_that_ends_claims_nothing_any_more(
    serve: Serve, runtime: Make, fault: Reply
) -> None:
    endpoint = serve(lambda body, _: fault)
    run = runtime(endpoint.url)
    messages = [[{"role": "user", "content": prompt}] for prompt in MANY]
    bodies = [{"model": "m", "messages": m, "logprobs": True, "max_tokens": 9} for m in messages]
    with pytest.raises(PersonaeError):
        ask_all("judge", bodies, run, most_failures=2)
    assert claims(run) == 0
