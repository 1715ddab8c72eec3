"""Throughput of judging relative to an endpoint's limit: answers per second against latency.

A local endpoint answers after an added latency. With ``c`` requests in flight nothing can be faster
than ``c / latency``, where the latency is what a bare socket measures there, with as many requests
in flight. The ratio says how much of that is reached with limits, retries and the database of
answers all in place. ``python -m personae.tools.bench.bench_judging`` prints both rates: like a
judge behind an endpoint, it is a process without torch.
"""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import tempfile
import time
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Final

from personae.endpoints.endpoint_settings import Endpoint
from personae.endpoints.runtime import Runtime
from personae.judging.chat_judge import ChatJudge
from personae.judging.judge_types import JudgeItem, coherence_rubric
from personae.judging.rubrics import load_rubric_templates
from personae.tools.bench.measurement import BenchComparison, printed, together

_LATENCY: Final = 0.05  # seconds
_CONCURRENCY: Final = 8
_REQUESTS: Final = 2400
_END: Final = b"\r\n\r\n"  # of the head of a message
_RUBRICS: Final = "config/judging/rubrics"


def comparison() -> BenchComparison:
    """Return judging's answers per second against what latency and concurrency allow."""

    def measured() -> list[float]:
        return [float(rate) for rate in printed("personae.tools.bench.bench_judging").split()]

    ours, allowed = together(measured, 2)
    return BenchComparison("judging at 50 ms / concurrency over latency", ours, allowed, 0.95)


def measure(concurrency: int, latency: float, requests: int) -> tuple[float, float]:
    """Judge ``requests`` answers at a local endpoint.

    Returns
    -------
    tuple
        Answers per second, and how many ``concurrency`` bare sockets would have had there.
    """
    receiver, sender = multiprocessing.Pipe(duplex=False)
    # Spawned: a process forked from one with threads may hang.
    server = multiprocessing.get_context("spawn").Process(
        target=_serve, args=(sender, latency), daemon=True
    )
    server.start()
    try:
        port = receiver.recv()
        with tempfile.TemporaryDirectory() as folder:
            judge = _judge(f"http://127.0.0.1:{port}/v1", concurrency, Path(folder))
            _timed(judge, "warm", concurrency)
            found = asyncio.run(_bare(port, concurrency, requests // 2))
            rate = _timed(judge, "item", requests)
            # Before and after, since other work on the machine comes and goes.
            found = (found + asyncio.run(_bare(port, concurrency, requests // 2))) / 2.0
    finally:
        server.terminate()
        server.join()
    return rate, concurrency / found


async def _bare(port: int, concurrency: int, requests: int) -> float:
    """Return the mean seconds per request of sockets that do nothing but send and read."""
    body = json.dumps({"model": "bench", "messages": [{"role": "user", "content": "x" * 900}]})
    request = f"POST / HTTP/1.1\r\ncontent-length: {len(body)}\r\n\r\n{body}".encode()

    async def ask(count: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for _ in range(count):
            writer.write(request)
            head = await reader.readuntil(_END)
            await reader.readexactly(_length(head))
        writer.close()

    start = time.perf_counter()
    each = requests // concurrency
    await asyncio.gather(*(ask(each) for _ in range(concurrency)))
    return (time.perf_counter() - start) / each


def _judge(url: str, concurrency: int, folder: Path) -> ChatJudge:
    endpoint = Endpoint(base_url=url, model="bench", key_variable=None, concurrency=concurrency)
    runtime = Runtime("bench", {"bench": endpoint}, folder / "answers")
    root = Path(__file__).resolve().parents[4]
    return ChatJudge("bench", runtime, load_rubric_templates(_RUBRICS, root))


def _timed(judge: ChatJudge, name: str, count: int) -> float:
    """Return how many answers per second are judged."""
    items = [JudgeItem(f"{name}{i}", "Why?", f"{name} {i} because.") for i in range(count)]
    start = time.perf_counter()
    verdicts = judge.score([coherence_rubric()], items)
    passed = time.perf_counter() - start
    if any(verdict.score != 70.0 for verdict in verdicts):
        raise AssertionError("the benchmark's endpoint says 70 to everything")
    return count / passed


def _serve(sender: Connection, latency: float) -> None:
    """Answer every request after ``latency`` seconds, until terminated."""
    message = {"role": "assistant", "content": "VERDICT: 70"}
    choice = {"index": 0, "finish_reason": "stop", "message": message}
    usage = {"prompt_tokens": 100, "completion_tokens": 5, "total_tokens": 105}
    body = json.dumps({"id": "x", "model": "bench", "choices": [choice], "usage": usage}).encode()
    head = f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {len(body)}"
    reply = head.encode() + b"\r\n\r\n" + body

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                await reader.readexactly(_length(await reader.readuntil(_END)))
                await asyncio.sleep(latency)
                writer.write(reply)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    async def run() -> None:
        server = await asyncio.start_server(answer, "127.0.0.1", 0, backlog=1024)
        sender.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    asyncio.run(run())


def _length(head: bytes) -> int:
    """Return how many bytes follow the head of a message."""
    lines = head.lower().split(b"\r\n")
    return next(int(line.split(b":")[1]) for line in lines if line.startswith(b"content-length"))


if __name__ == "__main__":
    print(*measure(_CONCURRENCY, _LATENCY, _REQUESTS))
