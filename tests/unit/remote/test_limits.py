"""Limits hold for all jobs of a machine together."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from personae.endpoints.answer_store import AnswerStore
from personae.endpoints.concurrency_slots import Slots
from personae.endpoints.endpoint_settings import Endpoint as Settings
from personae.endpoints.error_meaning import parse_retry_after
from personae.endpoints.rate_limit import Pace
from personae.endpoints.runtime import Runtime

from .asking import ask, texts
from .misbehaving import Endpoint, Reply, completion

ROOT = Path(__file__).resolve().parents[3]
JOB = """
import sys
from pathlib import Path
from personae.endpoints.endpoint_settings import Endpoint
from personae.endpoints.runtime import Runtime
from .asking import ask
url, folder, name, count, limits = sys.argv[1:]
import json
endpoint = Endpoint(base_url=url, model="judge", key_variable="PLANTED_KEY", **json.loads(limits))
runtime = Runtime("study", {"judge": endpoint}, Path(folder))
print(len(ask(runtime, [f"{name} {i}" for i in range(int(count))])))
"""


def job(endpoint: Endpoint, folder: Path, name: str, count: int, **limits: object):
    """Start another job on this machine that asks the same endpoint."""
    return subprocess.Popen(
        [
            sys.executable,
            "-c",
            JOB,
            endpoint.url,
            str(folder),
            name,
            str(count),
            json.dumps(limits),
        ],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": f"{ROOT / 'scripts'}:{ROOT}"},
    )


def test_jobs_share_the_requests_in_flight_and_each_gets_some(
    serve: Callable[..., Endpoint], tmp_path: Path
) -> None:
    endpoint = serve(lambda body, _: Reply(200, completion("fine").body, delay=0.03))
    jobs = [job(endpoint, tmp_path / "answers", f"job{i}", 40, concurrency=3) for i in range(2)]
    assert [process.communicate(timeout=60)[0].strip() for process in jobs] == ["40", "40"]
    assert endpoint.most_in_flight <= 3
    half = [prompt.split()[0] for prompt in list(endpoint.asked)[10:50]]
    assert {"job0", "job1"} == set(half)


def test_the_time_of_a_request_counts_from_its_turn(
    serve: Callable[..., Endpoint], runtime: Callable[..., Runtime]
) -> None:
    endpoint = serve(lambda body, _: Reply(200, completion("fine").body, delay=0.3))
    run = runtime(endpoint.url, concurrency=1, timeout=0.8, attempts=1)
    # The last of six is ready when the second goes out, and waits for longer than the limit.
    assert texts(ask(run, [f"p{i}" for i in range(6)])) == ["fine"] * 6
    assert endpoint.most_in_flight == 1


def test_a_slot_is_free_before_its_answer_is_kept(
    serve: Callable[..., Endpoint],
    runtime: Callable[..., Runtime],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """To keep an answer may take long, on a disk of the network: nothing waits for it."""
    keep = AnswerStore.keep
    kept: list[float] = []

    async def slowly(*args: Any) -> None:
        await asyncio.sleep(0.4)
        await keep(*args)
        kept.append(time.monotonic())

    monkeypatch.setattr(AnswerStore, "keep", slowly)
    endpoint = serve(lambda body, _: completion("fine"))
    assert texts(ask(runtime(endpoint.url, concurrency=1), ["a", "b"])) == ["fine"] * 2
    assert endpoint.times[1] < min(kept) - 0.2


def test_a_killed_job_gives_its_slots_back(tmp_path: Path) -> None:
    async def hold() -> None:
        async with Slots(tmp_path, lambda: 2) as slots:
            await slots.acquire()
            await slots.acquire()
            os.kill(os.getpid(), 9)

    if (child := os.fork()) == 0:
        asyncio.run(hold())
    os.waitpid(child, 0)

    async def take() -> list[int]:
        async with Slots(tmp_path, lambda: 2) as slots:
            return [await asyncio.wait_for(slots.acquire(), 5) for _ in range(2)]

    assert sorted(asyncio.run(take())) == [0, 1]


def test_requests_per_minute_hold_over_jobs(serve: Callable[..., Endpoint], tmp_path: Path) -> None:
    endpoint = serve(lambda body, _: completion("fine"))
    limits = {"requests_per_minute": 1200, "concurrency": 8}
    jobs = [job(endpoint, tmp_path / "answers", f"job{i}", 25, **limits) for i in range(2)]
    assert [process.wait(60) for process in jobs] == [0, 0]
    times = sorted(endpoint.times)
    # 20 a second, and at most a second's worth at once: the first 20 may come together.
    assert times[-1] - times[0] >= (50 - 20) / 20 * 0.95
    assert all(times[i + 25] - times[i] >= 0.2 for i in range(25))


def test_tokens_per_minute_are_corrected_by_what_was_counted(tmp_path: Path) -> None:
    settings = Settings(base_url="u", model="m", tokens_per_minute=6000)
    pace = Pace(tmp_path, settings)
    never = asyncio.Event()
    start = time.monotonic()

    async def spend() -> None:
        await pace.wait(100, never)  # the burst of one second
        pace.correct(-100)  # it took none
        await pace.wait(100, never)
        await pace.wait(20, never)  # 0.2 s, at a little less than 100 a second

    asyncio.run(spend())
    assert 0.15 < time.monotonic() - start < 0.5


def test_a_request_larger_than_the_burst_is_sent_in_the_end(tmp_path: Path) -> None:
    pace = Pace(tmp_path, Settings(base_url="u", model="m", tokens_per_minute=600))
    asyncio.run(asyncio.wait_for(pace.wait(5000, asyncio.Event()), 5))


def test_refusals_halve_the_slots_once_per_burst_and_answers_bring_them_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings(base_url="u", model="m", concurrency=16)
    pace, other = Pace(tmp_path, settings), Pace(tmp_path, settings)
    sent = time.time()
    for _ in range(10):
        pace.refused(0.0, sent)
    assert pace.slots() == 8
    asyncio.run(other.wait(1, asyncio.Event()))
    assert other.slots() == 8
    monkeypatch.setattr("personae.endpoints.rate_limit._TELL", 0.0)
    rounds = [pace.slots()]
    for _ in range(200):
        pace.answered(time.time())
        rounds.append(pace.slots())
    assert rounds[-1] == 16
    assert all(b - a in (0, 1) for a, b in pairwise(rounds))
    # One round of 8 answers brings one more slot.
    assert 8 <= rounds.index(9) <= 9


def test_a_damaged_state_is_a_fresh_one(tmp_path: Path) -> None:
    (tmp_path / "pace.json").write_bytes(b'{"at": 17')
    assert Pace(tmp_path, Settings(base_url="u", model="m", concurrency=4)).slots() == 4


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [({"retry-after": "3"}, 3.0), ({"retry-after-ms": "250"}, 0.25), ({}, None),
     ({"retry-after": "soon"}, None), ({"retry-after": "-5"}, 0.0),
     ({"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}, 0.0)],
)  # fmt: skip
def test_retry_after_is_read_in_all_its_forms(
    headers: dict[str, str], seconds: float | None
) -> None:
    assert parse_retry_after(headers) == seconds


def test_another_job_waits_out_the_pause_that_this_one_met(
    serve: Callable[..., Endpoint], runtime: Callable[..., Runtime]
) -> None:
    endpoint = serve(lambda body, _: completion("fine"))
    run = runtime(endpoint.url)
    assert texts(ask(run, ["before"])) == ["fine"]
    from personae.endpoints.cache_location import limits_folder

    Pace(limits_folder(run.endpoints["judge"]), run.endpoints["judge"]).refused(0.6, time.time())
    start = time.monotonic()
    assert texts(ask(run, ["after"])) == ["fine"]
    assert time.monotonic() - start >= 0.5
