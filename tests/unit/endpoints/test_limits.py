"""Limits of a node: requests in flight, per minute, pauses, and its share beside other nodes."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest

from personae.endpoints.endpoint_errors import parse_retry_after
from personae.endpoints.endpoint_settings import Endpoint as Settings
from personae.endpoints.request_limits import RequestLimits
from personae.endpoints.runtime import Runtime

from .asking import ask, texts
from .misbehaving import Endpoint, Reply, completion
from .virtual_time import run_virtually

ROOT = Path(__file__).resolve().parents[3]
JOB = """
import json, sys
from pathlib import Path
from personae.endpoints.endpoint_settings import Endpoint
from personae.endpoints.runtime import Runtime
from tests.unit.endpoints.asking import ask
url, folder, name, count, limits = sys.argv[1:]
endpoint = Endpoint(base_url=url, model="judge", key_variable="PLANTED_KEY", **json.loads(limits))
runtime = Runtime("study", {"judge": endpoint}, Path(folder))
print(len(ask(runtime, [f"{name} {i}" for i in range(int(count))])))
"""


def job(endpoint: Endpoint, folder: Path, name: str, count: int, **limits: object):
    """Start another node that asks the same endpoint."""
    options = [endpoint.url, str(folder), name, str(count), json.dumps(limits)]
    return subprocess.Popen(
        [sys.executable, "-c", JOB, *options],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": f"{ROOT / 'scripts'}:{ROOT}"},
    )


def settings(**limits: int) -> Settings:
    """Return an endpoint with limits."""
    return Settings(base_url="http://localhost/v1", model="m", **limits)


def sent_at(endpoint: Settings, requests: int, tokens: float = 1.0, nodes: int = 1) -> list[float]:
    """Return when requests are sent that are answered at once."""

    async def main() -> list[float]:
        limits, times = RequestLimits(endpoint), []
        limits.share_with(nodes)
        for _ in range(requests):
            async with limits.slot(tokens, 0.0) as began:
                times.append(began)
                limits.share_with(nodes)  # as a node does again and again
        return times

    return run_virtually(main())


@pytest.mark.parametrize(("limit", "nodes"), [(1200, 1), (1200, 4), (30, 1), (90, 3)])
def test_no_minute_sees_more_requests_than_the_share_of_the_limit(limit: int, nodes: int) -> None:
    count = 2 * limit // nodes
    times = sent_at(settings(requests_per_minute=limit), count, nodes=nodes)
    share = limit // nodes
    within = [sum(at <= other < at + 60.0 for other in times) for at in times]
    assert max(within) <= share
    assert times[-1] <= 60.0 * count / share * 1.05


def test_tokens_per_minute_hold_also_for_requests_larger_than_a_seconds_worth() -> None:
    times = sent_at(settings(tokens_per_minute=6000), 60, tokens=500.0)
    within = [sum(500 for other in times if at < other <= at + 60.0) for at in times]
    assert 5000 <= max(within) <= 6000


def test_answers_are_reckoned_as_long_as_they_have_been() -> None:
    async def main() -> float:
        limits = RequestLimits(settings(tokens_per_minute=61_000, concurrency=1))
        for _ in range(20):
            bound = 0.0 if limits._completion_tokens else 100_000.0
            async with limits.slot(0.0, bound) as began:
                pass
            limits.answered(began, 10)
        return asyncio.get_running_loop().time()

    # The first one is reckoned at its bound, a hundred seconds; the others take next to nothing.
    assert 99.0 < run_virtually(main()) < 101.0


def test_refusals_halve_the_requests_in_flight_once_per_burst_and_answers_bring_them_back() -> None:
    async def main() -> None:
        limits = RequestLimits(settings(concurrency=16))
        for _ in range(100):
            limits.answered(0.0, None)  # at full speed nothing is added up
        for _ in range(10):
            limits.refused(0.0, 0.0)
            await asyncio.sleep(0.01)
        assert limits.concurrency == 8
        limits.answered(-1.0, None)  # sent before the refusal
        rounds = [limits.concurrency]
        for _ in range(200):
            limits.answered(1.0, None)
            rounds.append(limits.concurrency)
        assert rounds[-1] == 16
        assert all(b - a in (0, 1) for a, b in pairwise(rounds))
        assert 8 <= rounds.index(9) <= 10  # one round of eight answers brings one more

    run_virtually(main())


def test_pauses_double_until_something_is_answered() -> None:
    async def main() -> None:
        limits = RequestLimits(settings(concurrency=1))
        pauses = []
        for _ in range(5):
            async with limits.slot(1.0, 1.0) as began:
                limits.refused(began, None)
            pauses.append(limits.pause)
            limits.refused(began - 1.0, None)  # it had been sent before
            assert limits.pause == pauses[-1]
        assert all(later >= 0.9 * earlier for earlier, later in pairwise(pauses))
        assert 4.0 * pauses[0] < pauses[-1] <= 16 * 0.02
        async with limits.slot(1.0, 1.0) as began:
            limits.answered(began, None)
        limits.refused(began, None)
        assert limits.pause <= 0.02
        limits.refused(began, 30.0)
        assert limits.pause == 30.0

    run_virtually(main())


def test_what_is_freed_goes_to_who_waits_longest_and_never_to_too_many() -> None:
    async def main() -> list[int]:
        limits, order, most = RequestLimits(settings(concurrency=3)), [], 0

        async def request(number: int) -> None:
            nonlocal most
            async with limits.slot(1.0, 1.0):
                order.append(number)
                most = max(most, limits._slots.borrowed_tokens)
                await asyncio.sleep(0.1)

        await asyncio.gather(*(request(n) for n in range(20)))
        assert most == 3
        assert 0.69 < asyncio.get_running_loop().time() < 0.71
        return order

    assert run_virtually(main()) == list(range(20))


def test_nodes_that_run_at_once_share_the_requests_in_flight(
    serve: Callable[..., Endpoint], runtime: Callable[..., Runtime], tmp_path: Path
) -> None:
    endpoint = serve(lambda body, _: Reply(200, completion("fine").body, delay=0.04))
    jobs = [job(endpoint, tmp_path / "answers", f"job{i}", 300, concurrency=6) for i in range(2)]
    assert [process.communicate(timeout=60)[0].strip() for process in jobs] == ["300", "300"]
    # At most 300 requests a second go out, and a second after the later one began both share.
    assert max(endpoint.flights[500:560]) <= 6


def test_the_time_of_a_request_counts_from_when_it_is_sent(
    serve: Callable[..., Endpoint], runtime: Callable[..., Runtime]
) -> None:
    endpoint = serve(lambda body, _: Reply(200, completion("fine").body, delay=0.15))
    run = runtime(endpoint.url, concurrency=1, timeout=0.4, attempts=1)
    # The last of six is ready when the second is sent, and waits for longer than the limit.
    assert texts(ask(run, [f"p{i}" for i in range(6)])) == ["fine"] * 6
    assert endpoint.most_in_flight == 1


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
