"""Single nodes of a finished study, killed at a seeded moment and made again.

The outputs of one node are taken away and asked for, and something is killed while the node runs:
as soon as some rows of the model server, or some answers of the judge, are there, so that they must
be used; a node that only computes, after a drawn time or while it writes. A plain rerun must make
the same tables.
"""

from __future__ import annotations

import contextlib
import os
import random
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from personae.data.table_checksums import content_checksum

from .judge import kept_answers
from .nodes import Bench, Found, Node
from .processes import Victim, forbidden_words, outliving, processes_in, rule_of, strike

_KEPT = re.compile(r"(\d+) of \d+ rows are kept")
_PATIENCE = 240.0
_ON_THE_WAY = 1.0
_MOST_ROWS = 3  # a node is killed when one to so many more batches were written
_MOST_ANSWERS = 5
_BY_TIME = 0.7  # share of the nodes that ask nothing; the others are killed while they write
_MOST_SECONDS = 0.8  # a node that asks nothing is killed so soon


def kill_node(bench: Bench, node: Node, victim: Victim, seed: int, found: Found) -> None:
    """Take a node's outputs away, kill something while they are made, and make them again."""
    name = f"{node.rule} {node.outputs[0]} ({victim})"
    with _taken_away(bench, node):
        said = _killed(bench, node, victim, random.Random(seed), found)
        if said is None:  # it ended before the drawn moment: the earliest one
            _remove(bench, node)
            said = _killed(bench, node, victim, None, found)
        if said is None:
            found.missed.append(node.rule)
            return
        kept = kept_answers(bench.project.root)
        again = _rerun(bench, node, found, name)
        for line in (*forbidden_words(said, victim), *forbidden_words(again, "all")):
            found.failures.append(f"{name}: {line}")
        found.failures += outliving(bench.project.root)
        _compare(bench, node, found, name)
        if node.asks == "judge":
            _count_answers(bench, node, kept, found, name)


@contextmanager
def _taken_away(bench: Bench, node: Node) -> Iterator[None]:
    """Put a node's outputs aside, and the answers too where it asks for some; put them back."""
    root = bench.project.root
    taken = [*node.outputs, *(["answers"] if node.asks == "judge" else [])]
    aside = root / "aside"
    for name in taken:
        (aside / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).rename(aside / name)
    try:
        yield
    finally:
        _remove(bench, node)
        for name in taken:
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            (aside / name).rename(path)
        shutil.rmtree(aside)


def _remove(bench: Bench, node: Node) -> None:
    """Delete what was made in place of what is put aside."""
    for name in node.outputs:
        (bench.project.root / name).unlink(missing_ok=True)
    if node.asks == "judge":
        shutil.rmtree(bench.project.root / "answers", ignore_errors=True)


def _killed(
    bench: Bench, node: Node, victim: Victim, draw: random.Random | None, found: Found
) -> str | None:
    """Run a node's target and kill something in it.

    Parameters
    ----------
    draw
        Draws the moment; None is the earliest one.

    Returns
    -------
    str | None
        What the run said; None if the node ended before it could be killed.
    """
    root, log = bench.project.root, bench.project.root / "torture.log"
    if bench.judge:
        bench.judge.forget()
        bench.judge.is_slow = True
    head = bench.start(node.outputs[0], log)
    process = _wait_for_node(root, head, node.rule)
    is_hit = process is not None and _reaches_moment(bench, node, process, draw)
    if process and is_hit:
        found.hit[node.rule] += 1
        found.victims[victim] += 1
        strike(root, head, victim)
        with contextlib.suppress(psutil.Error):
            process.resume()
    try:
        head.wait(_PATIENCE)
    except subprocess.TimeoutExpired:
        found.failures.append(f"{node.rule} ({victim}): the run went on for {_PATIENCE:.0f} s")
        os.killpg(head.pid, signal.SIGKILL)
        head.wait()
    found.failures += outliving(root)
    if not is_hit:
        return None
    if victim == "server":
        found.replaced += "asking a new server" in _log_of(bench, node)
        if head.returncode:
            found.failures.append(f"{node.rule}: it failed with its server")
    return log.read_text(encoding="utf-8", errors="replace")


def _wait_for_node(root: Path, head: subprocess.Popen[bytes], rule: str) -> psutil.Process | None:
    """Return the process of a node of the rule as soon as it runs."""
    deadline = time.monotonic() + _PATIENCE
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


def _reaches_moment(
    bench: Bench, node: Node, process: psutil.Process, draw: random.Random | None
) -> bool:
    """Wait until the node is to be killed, and stop it; False if it ended before."""
    if node.asks == "nothing" and (draw is None or draw.random() < _BY_TIME):
        time.sleep(draw.uniform(0.0, _MOST_SECONDS) if draw else 0.0)
        return not _has_ended(process)
    wanted = (
        1
        if draw is None
        else draw.randint(1, {"model": _MOST_ROWS, "judge": _MOST_ANSWERS, "nothing": 1}[node.asks])
    )
    reached, before = 0, _progress(bench, node)
    deadline = time.monotonic() + _PATIENCE
    while reached < wanted and time.monotonic() < deadline:
        now = _progress(bench, node)
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


def _progress(bench: Bench, node: Node) -> int:
    """Return how far a node is: bytes of rows kept, answers given, or files begun."""
    if node.asks == "judge":
        assert bench.judge is not None
        return bench.judge.given.total()
    if node.asks == "nothing":
        return len(list((bench.project.root / node.outputs[0]).parent.glob(".*.partial")))
    total = 0
    for path in (bench.project.root / bench.results / ".finished").glob("rows-*/*"):
        with contextlib.suppress(FileNotFoundError):
            total += path.stat().st_size
    return total


def _rerun(bench: Bench, node: Node, found: Found, name: str) -> str:
    """Run the target again, which must succeed and use what is kept; return what it said."""
    had_rows = node.asks == "model" and _progress(bench, node) > 0
    if bench.judge:
        bench.judge.is_slow = False
        time.sleep(_ON_THE_WAY)  # replies to a process that has ended are none of the rerun
        bench.judge.forget()
    log = bench.project.root / "torture.log"
    head = bench.start(node.outputs[0], log)
    status = head.wait(_PATIENCE)
    said = log.read_text(encoding="utf-8", errors="replace")
    if status:
        found.failures.append(f"{name}: the plain rerun failed: {said[-500:]}")
    kept = sum(int(n) for n in _KEPT.findall(_log_of(bench, node)))
    found.rows_kept[node.rule] += kept
    if had_rows and not kept:
        found.lost.append(f"{name}: rows that came before the kill were asked for again")
    return said


def _log_of(bench: Bench, node: Node) -> str:
    """Return the log of the last run of a node."""
    folder = bench.project.root / bench.results
    logs = [p for p in folder.rglob("*.log") if f"/logs/{node.rule}" in p.as_posix()]
    newest = max(logs, key=lambda path: path.stat().st_mtime)
    return newest.read_text(encoding="utf-8", errors="replace")


def _compare(bench: Bench, node: Node, found: Found, name: str) -> None:
    root = bench.project.root
    for output in node.outputs:
        made, wanted = root / output, root / "aside" / output
        if not made.exists():
            found.differing.append(f"{name}: {output} was not made")
        elif output.endswith(".parquet") and content_checksum(made) != content_checksum(wanted):
            found.differing.append(f"{name}: {output} differs")


def _count_answers(bench: Bench, node: Node, kept: int, found: Found, name: str) -> None:
    """Require that what was kept before the rerun was not asked for in it."""
    assert bench.judge is not None
    asked = sum(n for prompt, n in bench.judge.given.items() if prompt in bench.judge.judged)
    wanted = kept_answers(bench.project.root) - kept
    found.answers_kept[node.rule] += kept
    found.asked_again += asked - wanted
    if asked != wanted:
        found.lost.append(f"{name}: {asked} answers were asked for where {wanted} were missing")
