"""When a node is killed: waiting for it, its progress, and the drawn moment."""

from __future__ import annotations

import contextlib
import random
import subprocess
import time
from collections import Counter
from enum import Enum
from pathlib import Path
from typing import Final

import psutil
import pyarrow as pa

from .nodes import Bench, Node
from .processes import processes_in, rule_of

PATIENCE: Final = 240.0
"""Longest time in seconds that one run of a node takes."""

_MOST_ROWS: Final = 3  # a node is killed when one to so many more batches were written
_MOST_ANSWERS: Final = 5
_BY_TIME: Final = 0.7  # of the nodes without rows and answers; the others are killed as they write
_SECONDS: Final = 1.0  # that a node takes if nothing is known


class Moment(Enum):
    """When a node is killed.

    ``DRAWN``: after some of its rows or answers, or while it writes, or after a random part of its
    running time. ``FIRST``: after its first row or answer, or at once. ``START``: at once.
    """

    DRAWN = "drawn"
    FIRST = "first"
    START = "start"


def seconds_of(bench: Bench, node: Node) -> float:
    """Return the longest time that a node of this rule took when the study was made."""
    folder = bench.project.root / bench.results
    files = [p for p in folder.rglob("*.tsv") if f"/benchmarks/{node.rule}" in p.as_posix()]
    times = [float(path.read_text(encoding="utf-8").split()[-10]) for path in files]
    return max(times, default=_SECONDS)


def wait_for_node(root: Path, head: subprocess.Popen[bytes], rule: str) -> psutil.Process | None:
    """Return the process of a node of the rule as soon as it runs."""
    deadline = time.monotonic() + PATIENCE
    while head.poll() is None and time.monotonic() < deadline:
        for process in processes_in(root):
            if rule_of(process) == rule and _is_python(process):
                return process
        time.sleep(0.02)
    return None


def _is_python(process: psutil.Process) -> bool:
    """Tell the node from the shell that started it."""
    try:
        return "python" in Path(process.cmdline()[0]).name
    except (psutil.Error, IndexError):
        return False


def reaches(
    moment: Moment,
    bench: Bench,
    node: Node,
    process: psutil.Process,
    seconds: float,
    draw: random.Random,
) -> bool:
    """Wait until the node is to be killed, and stop it; False if it ended before."""
    is_drawn, counts = moment is Moment.DRAWN, node.keeps_rows or node.asks == "judge"
    by_time = not counts and (not is_drawn or draw.random() < _BY_TIME)
    if by_time or moment is Moment.START:
        time.sleep(seconds)
        return not _has_ended(process)
    most = _MOST_ANSWERS if node.asks == "judge" else _MOST_ROWS if node.keeps_rows else 1
    wanted = draw.randint(1, most) if is_drawn else 1
    reached, before = 0, progress(bench, node)
    deadline = time.monotonic() + PATIENCE
    while reached < wanted and time.monotonic() < deadline:
        now = progress(bench, node)
        if now > before:
            reached, before = reached + (now - before if node.asks == "judge" else 1), now
        if _has_ended(process):
            return False
        time.sleep(0.001)
    with contextlib.suppress(psutil.Error):
        process.suspend()
    return not _has_ended(process)


def _has_ended(process: psutil.Process) -> bool:
    try:
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def progress(bench: Bench, node: Node) -> int:
    """Return how far a node is: rows stored, answers given, or files begun."""
    if node.asks == "judge":
        assert bench.judge is not None
        return bench.judge.given.total()
    if not node.keeps_rows:
        return len(list((bench.project.root / node.outputs[0]).parent.glob(".*.partial")))
    return len(_batches(bench))


def whole_rows(bench: Bench) -> int:
    """Count the rows of the model that are stored whole: with a batch for each of their spans.

    A single row with a single batch may lack others.
    """
    batches = Counter(_batches(bench))
    if batches.total() < 2:
        return 0
    spans = max(batches.values())
    return sum(n == spans for n in batches.values())


def _batches(bench: Bench) -> list[tuple[str, bytes]]:
    """Return folder and row of every batch that is stored; the last one of a file may be cut."""
    found = []
    for path in (bench.project.root / bench.results / ".finished").glob("rows-*/*"):
        with (
            contextlib.suppress(pa.ArrowException, OSError),
            pa.OSFile(str(path)) as file,
            pa.ipc.open_stream(file) as reader,
        ):
            for batch, metadata in reader.iter_batches_with_custom_metadata():
                if batch.num_rows:
                    found.append((path.parent.name, metadata[b"personae.row"]))
    return found
