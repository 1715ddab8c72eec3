"""Answers are kept for good: with many writers, after kill -9, and when the disk is full."""

from __future__ import annotations

import asyncio
import os
import resource
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from personae.base.errors import PersonaeError
from personae.base.process_identity import ProcessIdentity
from personae.endpoints.answer_store import AnswerStore, StoreError
from personae.endpoints.answers import Answer, Budget, Charge, digest
from personae.endpoints.database import FILE, filesystem, journal_mode
from personae.endpoints.runtime import Runtime

from .asking import ask, texts
from .misbehaving import Endpoint, Reply, completion

SCRIPTS = Path(__file__).resolve().parents[3] / "scripts"
WRITER = """
import asyncio, sys
from pathlib import Path
from personae.endpoints.answers import Answer
from personae.endpoints.answer_store import AnswerStore

async def main(folder, name, count, journal):
    with AnswerStore(Path(folder), journal) as store:
        for i in range(int(count)):
            await store.keep(f"{name}-{i}", Answer(f"{name} {i}", "stop"), "e")
            print(i, flush=True)

asyncio.run(main(*sys.argv[1:]))
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
    with AnswerStore(tmp_path) as store:
        keys = [f"w{i}-{j}" for i in range(3) for j in range(40)]
        assert set(store.known(keys)) == set(keys)


def test_what_was_acknowledged_survives_kill_9(tmp_path: Path) -> None:
    process = writer(tmp_path, "w", 100_000)
    assert process.stdout is not None
    said = [process.stdout.readline() for _ in range(200)]
    process.send_signal(signal.SIGKILL)
    said += process.stdout.readlines()
    process.wait()
    acknowledged = [int(line) for line in said if line.endswith("\n")]
    with AnswerStore(tmp_path) as store:
        assert len(store.known(f"w-{i}" for i in acknowledged)) == len(acknowledged) >= 200
    with sqlite3.connect(tmp_path / FILE) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_a_database_that_is_damaged_meanwhile_is_one_line(tmp_path: Path) -> None:
    with AnswerStore(tmp_path) as store:
        asyncio.run(store.keep("k", Answer("a", "stop"), "e"))
        with sqlite3.connect(tmp_path / FILE) as connection:
            connection.execute("DROP TABLE answers")
            connection.execute("DROP TABLE ledger")
        for look in (lambda: store.known(["k"]), lambda: store.spent("study")):
            with pytest.raises(StoreError, match="no such table") as error:
                look()
            assert "\n" not in str(error.value)


def test_the_key_holds_all_that_determines_an_answer() -> None:
    body = {"model": "m", "messages": [{"role": "user", "content": "a"}], "temperature": 0.0}
    keys = {
        digest("http://a/v1", body),
        digest("http://b/v1", body),
        digest("http://a/v1", {**body, "temperature": 0.5}),
        digest("http://a/v1", {**body, "seed": 1}),
        digest("http://a/v1", {**body, "logprobs": True}),
        digest("http://a/v1", {**body, "messages": [{"role": "user", "content": "b"}]}),
    }
    assert len(keys) == 6
    assert digest("http://a/v1/", dict(reversed(body.items()))) == digest("http://a/v1", body)


def test_answers_come_back_as_they_were(tmp_path: Path) -> None:
    answer = Answer("Grüße\n\u2028", "stop", ("8", "5"), (("85", -0.1), ("\n", -3.0)), "m", 7, None)
    with AnswerStore(tmp_path) as store:
        asyncio.run(store.keep("k", answer, "e"))
        asyncio.run(store.keep("k", Answer("another", "stop"), "e"))
        assert store.known(["k", "nothing"]) == {"k": answer}


def test_a_claim_keeps_others_away_until_its_process_is_gone(tmp_path: Path) -> None:
    gone = ProcessIdentity.here()._replace(pid=2**22 + 1)
    elsewhere = ProcessIdentity("another-machine", "", 1, 1.0)
    with AnswerStore(tmp_path) as store:
        rows = [
            ("dead", str(gone), 1e12),
            ("far", str(elsewhere), 1e12),
            ("late", str(elsewhere), 1),
        ]
        with sqlite3.connect(tmp_path / FILE) as connection:
            connection.executemany("INSERT INTO claims VALUES (?, ?, ?)", rows)
        claimed = asyncio.run(store.claim(["dead", "far", "late", "new"]))
    assert claimed == {"dead", "late", "new"}


def test_a_living_process_is_not_gone() -> None:
    here = ProcessIdentity.here()
    assert not here.is_gone
    assert ProcessIdentity.parse(str(here)) == here
    assert here._replace(started=0.0).is_gone


def test_two_jobs_that_ask_the_same_pay_once(
    serve: Callable[..., Endpoint], runtime: Callable[..., Runtime]
) -> None:
    endpoint = serve(lambda body, _: Reply(200, completion("slow").body, delay=0.3))
    run = runtime(endpoint.url)
    code = (
        "import sys; from pathlib import Path;"
        "from personae.endpoints.endpoint_settings import Endpoint;"
        "from personae.endpoints.runtime import Runtime; from tests.unit.remote.asking import ask;"
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


def test_a_full_disk_stops_the_job_and_loses_no_answer(
    serve: Callable[..., Endpoint], runtime: Callable[..., Runtime], tmp_path: Path
) -> None:
    """Files may not grow: the child can write no further, and says so in one line."""
    endpoint = serve(lambda body, _: completion("x" * 2000))
    run = runtime(endpoint.url, concurrency=4)
    prompts = [f"p{i}" for i in range(400)]
    ask(run, prompts[:1])
    if (child := os.fork()) == 0:
        largest = max(path.stat().st_size for path in run.answers.glob("answers.sqlite*"))
        resource.setrlimit(resource.RLIMIT_FSIZE, (largest + 60_000, largest + 60_000))
        try:
            ask(run, prompts)
        except PersonaeError as error:
            (tmp_path / "said").write_text(str(error))
            os._exit(3)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 3
    said = (tmp_path / "said").read_text()
    assert "answers cannot be kept" in said
    assert "\n" not in said
    asked = endpoint.asked.total()
    assert asked < 200
    assert texts(ask(run, prompts)) == ["x" * 2000] * 400
    assert set(endpoint.asked.values()) == {1}
    assert not list(run.answers.glob("spill-*"))


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 6 MiB, for those who may mount one."""
    folder = tmp_path / "answers"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", str(folder)]
    if os.getuid() or subprocess.run(command, capture_output=True).returncode:
        pytest.skip("mounting needs root")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_a_really_full_disk_loses_no_answer_either(
    serve: Callable[..., Endpoint], runtime: Callable[..., Runtime], small_disk: Path
) -> None:
    endpoint = serve(lambda body, _: completion("x" * 20_000))
    run = runtime(endpoint.url, concurrency=4)
    prompts = [f"p{i}" for i in range(300)]
    with pytest.raises(PersonaeError, match="answers cannot be kept"):
        ask(run, prompts)
    assert 10 < endpoint.asked.total() < 200
    subprocess.run(["mount", "-o", "remount,size=64m", str(small_disk)], check=True)
    assert texts(ask(run, prompts)) == ["x" * 20_000] * 300
    assert set(endpoint.asked.values()) == {1}


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
    with AnswerStore(run.answers) as store:
        assert store.spent("study").cost == pytest.approx(spent)
        assert store.spent("study").prompt_tokens == 100 * endpoint.asked.total()
        assert store.spent("another") == Charge()


def test_a_disk_that_machines_share_keeps_answers_as_well(
    serve: Callable[..., Endpoint],
    runtime: Callable[..., Runtime],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("personae.endpoints.answer_store.journal_mode", lambda _: "DELETE")
    endpoint = serve(lambda body, _: completion("fine"))
    run = runtime(endpoint.url, Budget(requests=40))
    for _ in range(2):
        assert texts(ask(run, [f"p{i}" for i in range(40)])) == ["fine"] * 40
    assert set(endpoint.asked.values()) == {1}


def test_disks_that_machines_share_get_no_shared_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert filesystem(tmp_path)
    monkeypatch.setattr("personae.endpoints.database.filesystem", lambda _: "nfs4")
    assert journal_mode(tmp_path) == "DELETE"
    monkeypatch.setattr("personae.endpoints.database.filesystem", lambda _: "ext4")
    assert journal_mode(tmp_path) == "WAL"
