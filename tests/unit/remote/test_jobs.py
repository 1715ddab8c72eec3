"""Jobs that share too few slots: each is counted, and each has its turn."""

from __future__ import annotations

import asyncio
import fcntl
import os
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest

from personae.endpoints.concurrency_slots import Slots

from .misbehaving import Endpoint, Reply, completion
from .test_limits import job


@pytest.mark.parametrize(("count", "concurrency", "each"), [(2, 1, 60), (3, 2, 80), (3, 4, 120)])
def test_jobs_for_which_slots_do_not_suffice_advance_together(
    serve: Callable[..., Endpoint], tmp_path: Path, count: int, concurrency: int, each: int
) -> None:
    endpoint = serve(lambda body, _: Reply(200, completion("fine").body, delay=0.03))
    names = [f"job{i}" for i in range(count)]
    jobs = [
        job(endpoint, tmp_path / "answers", name, each, concurrency=concurrency) for name in names
    ]
    assert [p.communicate(timeout=120)[0].strip() for p in jobs] == [str(each)] * count
    assert endpoint.most_in_flight <= concurrency
    order = [prompt.split()[0] for prompt in endpoint.asked]
    # When the first has all of its answers, every other one has a good part of them.
    first = min(len(order) - order[::-1].index(name) for name in names)
    counts = [order[:first].count(name) for name in names]
    assert min(counts) >= each / 5, counts
    # They take turns, and not one per request, between which a slot would rest.
    turns = sum(a != b for a, b in pairwise(order))
    assert turns >= 4
    if concurrency == 1:
        assert turns <= len(order) / 4


def sweep(path: Path) -> int:
    """Take a file for one of a dead job, as another job does; return what holds its lock."""
    descriptor = os.open(path, os.O_RDWR)
    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    path.unlink()
    return descriptor


@pytest.mark.parametrize("done", [False, True], ids=["still at it", "done"])
def test_a_job_whose_new_file_is_swept_away_takes_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, done: bool
) -> None:
    lock, swept = fcntl.flock, []

    def swept_before(descriptor: int, how: int) -> None:
        name = Path(os.readlink(f"/proc/self/fd/{descriptor}"))
        if name.name.startswith("job-") and not swept:
            swept.append(-1)
            swept[0] = sweep(name)
            if done:
                os.close(swept[0])
        lock(descriptor, how)

    async def join() -> int:
        async with Slots(tmp_path, lambda: 4) as one, Slots(tmp_path, lambda: 4) as two:
            assert await one.acquire() != await two.acquire()
            return two._count()

    monkeypatch.setattr("personae.endpoints.concurrency_slots.fcntl.flock", swept_before)
    assert asyncio.run(join()) == 2
    assert swept
    if not done:
        os.close(swept[0])


def test_a_folder_of_limits_that_vanishes_is_an_error_and_no_endless_wait(tmp_path: Path) -> None:
    async def wait() -> None:
        async with Slots(tmp_path / "limits", lambda: 1) as slots:
            held = await slots.acquire()
            waiting = asyncio.create_task(slots.acquire())
            await asyncio.sleep(0.05)
            for path in (tmp_path / "limits").iterdir():
                path.unlink()
            (tmp_path / "limits").rmdir()
            slots._held.pop(held)
            with pytest.raises(FileNotFoundError):
                await asyncio.wait_for(waiting, 5)

    (tmp_path / "limits").mkdir()
    asyncio.run(wait())
