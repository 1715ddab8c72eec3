"""What is kept, beyond an ordinary disk: odd characters in a spill file, journals, and budgets."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from personae.base.errors import PersonaeError
from personae.endpoints.answer_store import AnswerStore, StoreError
from personae.endpoints.answers import Answer, Budget, most_tokens
from personae.endpoints.database import FILE, connect, has_log
from personae.endpoints.runtime import Runtime

from .asking import ask, texts
from .misbehaving import Endpoint, completion
from .test_store import writer

Serve = Callable[..., Endpoint]
Make = Callable[..., Runtime]
ODD = "a\u2028b\u2029c\x85d\x0be\x0cf\x1cg\r\nh\ri"


def test_a_spilled_answer_may_hold_any_line_break(
    serve: Serve, runtime: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    endpoint = serve(lambda body, _: completion(ODD))
    run = runtime(endpoint.url)
    with monkeypatch.context() as patch:
        patch.setattr("personae.endpoints.answer_store.save", full)
        with pytest.raises(PersonaeError, match="disk is full"):
            ask(run, ["x"])
    assert list(run.answers.glob("spill-*"))
    assert texts(ask(run, ["x"])) == [ODD]
    assert endpoint.asked.total() == 1
    assert not list(run.answers.glob("spill-*"))


def log_of(folder: Path) -> bool:
    """Say whether the database in a folder has a write-ahead log."""
    with closing(sqlite3.connect(folder / FILE)) as connection:
        return has_log(connection)


def test_a_rollback_journal_stays_also_for_the_machine_whose_disk_it_is(tmp_path: Path) -> None:
    with AnswerStore(tmp_path, "DELETE") as network, AnswerStore(tmp_path, "WAL") as local:
        asyncio.run(network.keep("a", Answer("from the network", "stop"), "e"))
        asyncio.run(local.keep("b", Answer("from the machine itself", "stop"), "e"))
        assert set(network.known("ab")) == set(local.known("ab")) == {"a", "b"}
    assert not log_of(tmp_path)
    writers = [writer(tmp_path, f"w{i}", 20, ("WAL", "DELETE")[i % 2]) for i in range(4)]
    assert [process.wait(60) for process in writers] == [0] * 4
    assert not log_of(tmp_path)
    with AnswerStore(tmp_path) as store:
        assert len(store.known(f"w{i}-{j}" for i in range(4) for j in range(20))) == 80


def test_a_log_that_nobody_uses_becomes_a_journal_when_the_network_comes(tmp_path: Path) -> None:
    with AnswerStore(tmp_path, "WAL") as store:
        asyncio.run(store.keep("a", Answer("kept", "stop"), "e"))
    assert log_of(tmp_path)
    with AnswerStore(tmp_path, "DELETE") as store:
        assert set(store.known("a")) == {"a"}
    assert not log_of(tmp_path)


def test_a_log_that_is_in_use_is_not_read_over_the_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("personae.endpoints.database._BUSY_SECONDS", 0.2)
    in_use = connect(tmp_path, "WAL")
    try:
        with pytest.raises(StoreError, match="database is locked: jobs on the machine") as error:
            AnswerStore(tmp_path, "DELETE")
        assert "\n" not in str(error.value)
        in_use.execute("INSERT INTO answers VALUES ('a', '{}', 'e', 0)")
    finally:
        in_use.close()
    AnswerStore(tmp_path, "DELETE").close()
    assert not log_of(tmp_path)


@pytest.mark.parametrize(
    ("extra", "tokens"),
    [
        ({"n": 4}, 4 * 50),
        ({"max_completion_tokens": 300}, 300),
        ({"max_completion_tokens": 300, "n": 2}, 600),
        ({"max_completion_tokens": 10}, 50),
    ],
    ids=str,
)
def test_a_budget_holds_whatever_the_body_asks_for(
    serve: Serve, runtime: Make, extra: dict[str, int], tokens: int
) -> None:
    usage = {"prompt_tokens": 0, "completion_tokens": tokens}
    endpoint = serve(lambda body, _: completion("fine", usage=usage))
    most = 4.5 * tokens / 1e6
    run = runtime(
        endpoint.url, Budget(cost=most), price_in=0.0, price_out=1.0, max_tokens=50,
        extra_body=extra,
    )  # fmt: skip
    with pytest.raises(PersonaeError, match="budget is used up"):
        ask(run, [f"p{i}" for i in range(30)])
    assert endpoint.asked.total() == 4
    with AnswerStore(run.answers) as store:
        assert store.spent("study").cost <= most


def test_an_answer_without_limit_is_as_long_as_any() -> None:
    messages = [{"role": "user", "content": "x"}]
    assert most_tokens({"messages": messages})[1] == 2**17
    assert most_tokens({"messages": messages, "max_tokens": 7, "n": None})[1] == 7
