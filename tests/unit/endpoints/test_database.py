"""Answers are kept for good: with many writers, after kill -9, and when the disk is full."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from personae.base.errors import PersonaeError
from personae.base.process_identity import ProcessIdentity
from personae.endpoints.answer_database import FILE, AnswerDatabase, is_local
from personae.endpoints.chat_answer import ChatAnswer
from personae.endpoints.chat_request import answer_key, most_tokens
from personae.endpoints.database_errors import DatabaseError
from personae.endpoints.runtime import Runtime
from personae.endpoints.spending import Budget, Charge
from personae.endpoints.stored_answer import from_stored, to_stored

from .asking import ask, texts
from .misbehaving import Endpoint, Reply, completion

CHARGED = ("study", Charge())
SCRIPTS = Path(__file__).resolve().parents[3] / "scripts"
WRITER = """
import sys
from pathlib import Path
from personae.endpoints.answer_database import AnswerDatabase
from personae.endpoints.chat_answer import ChatAnswer
from personae.endpoints.spending import Charge

folder, name, count, journal = sys.argv[1:]
with AnswerDatabase(Path(folder), journal == "WAL") as database:
    for i in range(int(count)):
        answer = ChatAnswer(f"{name} {i}", "stop")
        database.keep(f"{name}-{i}", answer, "e", "study", Charge(1))
        print(i, flush=True)
"""


def writer(folder: Path, name: str, count: int, journal: str = "WAL") -> subprocess.Popen[str]:
    """Start a process that keeps answers and says how many."""
    return subprocess.Popen(
        [sys.executable, "-c", WRITER, str(folder), name, str(count), journal],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(SCRIPTS)},
    )


@pytest.mark.parametrize("journal", ["WAL", "DELETE"])
def test_concurrent_writers_lose_nothing(tmp_path: Path, journal: str) -> None:
    writers = [writer(tmp_path, f"w{i}", 40, journal) for i in range(3)]
    assert [process.wait(60) for process in writers] == [0, 0, 0]
    with AnswerDatabase(tmp_path) as store:
        keys = [f"w{i}-{j}" for i in range(3) for j in range(40)]
        assert set(store.known(keys)) == set(keys)
        assert store.spent("study").requests == 120


def test_what_was_acknowledged_survives_kill_9(tmp_path: Path) -> None:
    process = writer(tmp_path, "w", 100_000)
    assert process.stdout is not None
    said = [process.stdout.readline() for _ in range(200)]
    process.send_signal(signal.SIGKILL)
    said += process.stdout.readlines()
    process.wait()
    acknowledged = [int(line) for line in said if line.endswith("\n")]
    with AnswerDatabase(tmp_path) as store:
        assert len(store.known(f"w-{i}" for i in acknowledged)) == len(acknowledged) >= 200
    with sqlite3.connect(tmp_path / FILE) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_a_database_that_is_damaged_meanwhile_is_one_line(tmp_path: Path) -> None:
    with AnswerDatabase(tmp_path) as store:
        store.keep("k", ChatAnswer("a", "stop"), "e", *CHARGED)
        with sqlite3.connect(tmp_path / FILE) as connection:
            connection.execute("DROP TABLE answers")
            connection.execute("DROP TABLE ledger")
        for look in (lambda: store.known(["k"]), lambda: store.spent("study")):
            with pytest.raises(DatabaseError, match="no such table") as error:
                look()
            assert "\n" not in str(error.value)


def test_the_key_holds_all_that_determines_an_answer() -> None:
    body = {"model": "m", "messages": [{"role": "user", "content": "a"}], "temperature": 0.0}
    keys = {
        answer_key("http://a/v1", body),
        answer_key("http://b/v1", body),
        answer_key("http://a/v1", {**body, "temperature": 0.5}),
        answer_key("http://a/v1", {**body, "seed": 1}),
        answer_key("http://a/v1", {**body, "logprobs": True}),
        answer_key("http://a/v1", {**body, "messages": [{"role": "user", "content": "b"}]}),
    }
    assert len(keys) == 6
    assert answer_key("http://a/v1/", dict(reversed(body.items()))) == answer_key(
        "http://a/v1", body
    )


def test_answers_come_back_as_they_were(tmp_path: Path) -> None:
    answer = ChatAnswer(
        "Grüße\n\u2028", "stop", ("8", "5"), (("85", -0.1), ("\n", -3.0)), "m", 7, None
    )
    with AnswerDatabase(tmp_path) as store:
        store.keep("k", answer, "e", *CHARGED)
        assert store.known(["k", "nothing"]) == {"k": answer}


def test_a_claim_keeps_others_away_until_its_process_is_gone(tmp_path: Path) -> None:
    here = ProcessIdentity.here()
    askers = {
        "dead": (f"{here._replace(pid=2**22 + 1)} a", 1e12),
        "another process of that number": (f"{here._replace(started=here.started - 9)} a", 1e12),
        "alive": (f"{here} a", 1e12),
        "far": (f"{here._replace(host='another-machine')} a", 1e12),
        "late": (f"{here._replace(host='another-machine', pid=2)} a", 1.0),
    }
    with AnswerDatabase(tmp_path) as store:
        with sqlite3.connect(tmp_path / FILE) as connection:
            rows = [(asker, "e", until) for asker, until in askers.values()]
            connection.executemany("INSERT INTO askers VALUES (?, ?, ?)", rows)
            rows = [(key, asker) for key, (asker, _) in askers.items()]
            connection.executemany("INSERT INTO asked VALUES (?, ?)", rows)
        assert store.join("e") == 3  # itself, the living one, and the one that is far away
        free = {"dead", "another process of that number", "late", "new"}
        assert store.claim([*askers, "new"]) == free
        with AnswerDatabase(tmp_path) as other:
            assert other.join("e") == 4
            assert other.claim([*askers, "new"]) == set()
            store.leave()
            assert other.claim([*askers, "new"]) == free


def test_a_kept_answer_is_replaced_by_a_newer_one(tmp_path: Path) -> None:
    with AnswerDatabase(tmp_path) as store:
        store.keep("k", ChatAnswer("old", "stop"), "e", *CHARGED)
        since = time.time()
        assert store.known(["k"], since=since) == {}
        store.keep("k", ChatAnswer("new", "stop"), "e", *CHARGED)
        assert store.known(["k"], since=since)["k"].text == store.known(["k"])["k"].text == "new"


def test_two_jobs_that_ask_the_same_pay_once(
    serve: Callable[..., Endpoint], runtime: Callable[..., Runtime]
) -> None:
    endpoint = serve(lambda body, _: Reply(200, completion("slow").body, delay=0.3))
    run = runtime(endpoint.url)
    code = (
        "import sys; from pathlib import Path;"
        "from personae.endpoints.endpoint_settings import Endpoint;"
        "from personae.endpoints.runtime import Runtime;"
        "from tests.unit.endpoints.asking import ask;"
        "e = Endpoint(base_url=sys.argv[1], model='judge', key_variable='PLANTED_KEY');"
        "r = Runtime('study', {'judge': e}, Path(sys.argv[2]), root=Path(sys.argv[2]).parent);"
        "print(len(ask(r, [f'p{i}' for i in range(24)])))"
    )
    environment = {**os.environ, "PYTHONPATH": f"{SCRIPTS}:{SCRIPTS.parent}"}
    command = [sys.executable, "-c", code, endpoint.url, str(run.answers)]
    other = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
    assert texts(ask(run, [f"p{i}" for i in range(24)])) == ["slow"] * 24
    assert other.communicate(timeout=60)[0].strip() == "24"
    assert set(endpoint.asked.values()) == {1}


def test_a_killed_job_resumes_where_it_stopped(
    serve: Callable[..., Endpoint], runtime: Callable[..., Runtime]
) -> None:
    endpoint = serve(lambda body, _: Reply(200, completion("fine").body, delay=0.02))
    run = runtime(endpoint.url, concurrency=2)
    prompts = [f"p{i}" for i in range(60)]
    if (child := os.fork()) == 0:
        ask(run, prompts)
        os._exit(0)
    while endpoint.answered.total() < 20:
        time.sleep(0.01)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    assert texts(ask(run, prompts)) == ["fine"] * 60
    # Only what was on the way when the job was killed is asked twice.
    assert endpoint.asked.total() <= 62


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 24 MiB, for those who may mount one."""
    folder = tmp_path / "answers"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", str(folder)]
    if os.getuid() or subprocess.run(command, capture_output=True).returncode:
        pytest.skip("mounting needs root")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_a_full_disk_stops_the_node_before_an_answer_is_lost(
    serve: Callable[..., Endpoint],
    runtime: Callable[..., Runtime],
    small_disk: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("personae.endpoints.request_batch._CHECK_SECONDS", 0.02)
    endpoint = serve(lambda body, _: completion("x" * 20_000))
    run = runtime(endpoint.url, concurrency=4)
    prompts = [f"p{i}" for i in range(400)]
    with pytest.raises(PersonaeError, match="the disk is full") as error:
        ask(run, prompts)
    assert "\n" not in str(error.value)
    assert 10 < endpoint.asked.total() < 400
    subprocess.run(["mount", "-o", "remount,size=128m", str(small_disk)], check=True)
    assert texts(ask(run, prompts)) == ["x" * 20_000] * 400
    assert set(endpoint.asked.values()) == {1}


def test_a_damaged_database_is_named_and_no_full_disk(
    serve: Callable[..., Endpoint], runtime: Callable[..., Runtime]
) -> None:
    endpoint = serve(lambda body, _: completion("fine"))
    run = runtime(endpoint.url)
    run.answers.mkdir()
    (run.answers / FILE).write_bytes(b"nothing of the kind" * 1000)
    with pytest.raises(DatabaseError, match="is damaged") as error:
        ask(run, ["x"])
    assert str(run.answers / FILE) in str(error.value)
    assert "make room" not in str(error.value)
    assert endpoint.asked.total() == 0


def test_a_damaged_answer_is_asked_for_again_and_no_other(
    serve: Callable[..., Endpoint],
    runtime: Callable[..., Runtime],
    caplog: pytest.LogCaptureFixture,
) -> None:
    endpoint = serve(lambda body, _: completion(f"answer to {body['messages'][-1]['content']}"))
    run = runtime(endpoint.url)
    prompts = ["one", "two", "three"]
    assert texts(ask(run, prompts)) == [f"answer to {prompt}" for prompt in prompts]
    with closing(sqlite3.connect(run.answers / FILE)) as connection, connection:
        connection.execute("UPDATE answers SET answer = replace(answer, 'answer to t', 'answer t')")
    assert texts(ask(run, prompts)) == [f"answer to {prompt}" for prompt in prompts]
    assert endpoint.asked == {"one": 1, "two": 2, "three": 2}
    assert f"{run.answers / FILE}: damaged answers (2) are asked for again" in caplog.text


def test_an_answer_of_an_earlier_version_is_read() -> None:
    answer = ChatAnswer("fine", "stop", ("f", "ine"), (("f", -0.5),))
    assert from_stored("k", answer.to_json()) == answer
    assert from_stored("k", to_stored("k", answer)) == answer
    assert from_stored("l", to_stored("k", answer)) is None
    assert from_stored("k", answer.to_json()[:-5]) is None


def test_a_budget_of_requests_is_never_exceeded(
    serve: Callable[..., Endpoint], runtime: Callable[..., Runtime]
) -> None:
    endpoint = serve(lambda body, _: Reply(200, completion("fine").body, delay=0.01))
    run = runtime(endpoint.url, Budget(requests=25), concurrency=8)
    prompts = [f"p{i}" for i in range(60)]
    with pytest.raises(PersonaeError, match="budget is used up") as error:
        ask(run, prompts)
    assert "\n" not in str(error.value)
    assert endpoint.asked.total() == 25
    # All 25 are kept, and asking for them costs nothing.
    assert texts(ask(run, list(endpoint.asked))) == ["fine"] * 25
    raised = runtime(endpoint.url, Budget(requests=60), concurrency=8)
    assert texts(ask(raised, prompts)) == ["fine"] * 60
    assert endpoint.asked.total() == 60


def test_a_budget_of_money_is_never_exceeded(
    serve: Callable[..., Endpoint], runtime: Callable[..., Runtime]
) -> None:
    usage = {"prompt_tokens": 100, "completion_tokens": 50}
    endpoint = serve(lambda body, _: completion("fine", usage=usage))
    price = (100 * 1.0 + 50 * 2.0) / 1e6
    run = runtime(endpoint.url, Budget(cost=20 * price), price_in=1.0, price_out=2.0, max_tokens=50)
    with pytest.raises(PersonaeError, match="budget is used up"):
        ask(run, [f"p{i}" for i in range(60)])
    spent = endpoint.asked.total() * price
    assert 0.5 * 20 * price < spent <= 20 * price * (1 + 1e-9)
    with AnswerDatabase(run.answers) as store:
        assert store.spent("study").cost == pytest.approx(spent)
        assert store.spent("study").prompt_tokens == 100 * endpoint.asked.total()
        assert store.spent("another") == Charge()


def journal_of(folder: Path) -> str:
    """Return the journal of the database in a folder."""
    with closing(sqlite3.connect(folder / FILE)) as connection:
        return str(connection.execute("PRAGMA journal_mode").fetchone()[0])


def test_a_disk_that_machines_share_gets_a_rollback_journal_for_good(
    serve: Callable[..., Endpoint],
    runtime: Callable[..., Runtime],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    endpoint = serve(lambda body, _: completion("fine"))
    run = runtime(endpoint.url, Budget(requests=40))
    prompts = [f"p{i}" for i in range(40)]
    assert texts(ask(run, prompts[:20])) == ["fine"] * 20
    assert journal_of(run.answers) == "wal"
    with monkeypatch.context() as patch:
        patch.setattr("personae.endpoints.answer_database.is_local", lambda _: False)
        assert texts(ask(run, prompts)) == ["fine"] * 40
    assert texts(ask(run, prompts)) == ["fine"] * 40
    assert journal_of(run.answers) == "delete"
    assert set(endpoint.asked.values()) == {1}


def test_the_disk_under_a_folder_tells_whether_machines_share_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def mount(place: Path, kind: str) -> SimpleNamespace:
        return SimpleNamespace(mountpoint=str(place), fstype=kind)

    mounts = [mount(Path("/"), "ext4"), mount(tmp_path, "xfs")]
    monkeypatch.setattr(psutil, "disk_partitions", lambda all: mounts)
    assert is_local(tmp_path / "answers")
    mounts.append(mount(tmp_path, "nfs4"))  # over the other one
    assert not is_local(tmp_path / "answers")
    assert is_local(tmp_path.parent)


def test_a_budget_holds_for_several_answers_per_request(
    serve: Callable[..., Endpoint], runtime: Callable[..., Runtime]
) -> None:
    usage = {"prompt_tokens": 0, "completion_tokens": 200}
    endpoint = serve(lambda body, _: completion("fine", usage=usage))
    most = 4.5 * 200 / 1e6
    run = runtime(
        endpoint.url, Budget(cost=most), price_in=0.0, price_out=1.0, max_tokens=50,
        extra_body={"n": 4},
    )  # fmt: skip
    with pytest.raises(PersonaeError, match="budget is used up"):
        ask(run, [f"p{i}" for i in range(30)])
    assert endpoint.asked.total() == 4
    with AnswerDatabase(run.answers) as store:
        assert store.spent("study").cost <= most


def test_an_answer_without_limit_is_as_long_as_any() -> None:
    messages = [{"role": "user", "content": "x"}]
    assert most_tokens({"messages": messages})[1] == 2**17
    assert most_tokens({"messages": messages, "max_tokens": 7, "n": None})[1] == 7
    limits = {"max_tokens": 50, "max_completion_tokens": 300}
    assert most_tokens({"messages": messages, **limits, "n": 2})[1] == 600
