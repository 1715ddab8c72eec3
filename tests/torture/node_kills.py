"""Single nodes of a finished study, killed at a seeded moment and made again.

The outputs of one node are taken away and asked for, and something is killed while the node runs:
as soon as some rows of its model, or some answers of the judge, are there, so that they must be
used; a node that trains or only computes, after a drawn time or while it writes. A plain rerun must
make the same tables.
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

from personae.inference.weights_manifest import file_digests

from .alike import difference
from .judge import kept_answers
from .moments import PATIENCE, Moment, reaches, seconds_of, wait_for_node, whole_rows
from .nodes import Bench, Kill, Node
from .processes import Victim, forbidden_words, outliving, strike

_KEPT = re.compile(r"(\d+) of \d+ rows were computed before")
_ON_THE_WAY = 1.0


def kill_node(bench: Bench, node: Node, victim: Victim, seed: int) -> Kill | None:
    """Take a node's outputs away, kill something while they are made, and make them again.

    Returns
    -------
    Kill | None
        What came of it; None if the node ended each time before it could be killed.
    """
    kill = Kill(node.rule, node.asks, victim)
    with _taken_away(bench, node):
        for moment in (Moment.DRAWN, Moment.FIRST, Moment.START):
            said = _killed(bench, node, kill, moment, random.Random(seed))
            if said is not None:
                break
            _remove(bench, node)  # it ended before: the next moment is earlier
        if said is None:
            return None
        kept = kept_answers(bench.project.root)
        again = _rerun(bench, node, kill)
        for line in (*forbidden_words(said, victim), *forbidden_words(again, "all")):
            kill.failures.append(line)
        kill.failures += outliving(bench.project.root)
        _compare(bench, node, kill)
        if node.asks == "judge":
            _count_answers(bench, kept, kill)
    return kill


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
        path = bench.project.root / name
        if path.is_dir():
            shutil.rmtree(path)
        path.unlink(missing_ok=True)
    if node.asks == "judge":
        shutil.rmtree(bench.project.root / "answers", ignore_errors=True)


def _killed(
    bench: Bench, node: Node, kill: Kill, moment: Moment, draw: random.Random
) -> str | None:
    """Run a node's target and kill something in it.

    Returns
    -------
    str | None
        What the run said; None if the node ended before it could be killed.
    """
    root, log = bench.project.root, bench.project.root / "torture.log"
    seconds = draw.uniform(0.0, seconds_of(bench, node)) if moment is Moment.DRAWN else 0.0
    if bench.judge:
        bench.judge.forget()
        bench.judge.is_slow = True
    head = bench.start(node.outputs[0], log)
    process = wait_for_node(root, head, node.rule)
    is_hit = process is not None and reaches(moment, bench, node, process, seconds, draw)
    if process and is_hit:
        strike(root, head, kill.victim)
        with contextlib.suppress(psutil.Error):
            process.resume()
    try:
        head.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        kill.failures.append(f"the run went on for {PATIENCE:.0f} s")
        os.killpg(head.pid, signal.SIGKILL)
        head.wait()
    kill.failures += outliving(root)
    if not is_hit:
        return None
    if kill.victim == "server":
        kill.replaced = "asking a new server" in _log_of(bench, node)
        if head.returncode:
            kill.failures.append("it failed with its server")
    return log.read_text(encoding="utf-8", errors="replace")


def _rerun(bench: Bench, node: Node, kill: Kill) -> str:
    """Run the target again, which must succeed and use what is kept; return what it said."""
    had_rows = node.keeps_rows and whole_rows(bench) > 0
    if bench.judge:
        bench.judge.is_slow = False
        time.sleep(_ON_THE_WAY)  # replies to a process that has ended are none of the rerun
        bench.judge.forget()
    log = bench.project.root / "torture.log"
    head = bench.start(node.outputs[0], log)
    status = head.wait(PATIENCE)
    said = log.read_text(encoding="utf-8", errors="replace")
    if status:
        kill.failures.append(f"the plain rerun failed: {said[-500:]}")
    kill.rows_kept = sum(int(n) for n in _KEPT.findall(_log_of(bench, node)))
    if had_rows and not kill.rows_kept:
        kill.lost.append("rows that came before the kill were asked for again")
    return said


def _log_of(bench: Bench, node: Node) -> str:
    """Return the log of the last run of a node."""
    folder = bench.project.root / bench.results
    logs = [p for p in folder.rglob("*.log") if f"/logs/{node.rule}" in p.as_posix()]
    newest = max(logs, key=lambda path: path.stat().st_mtime)
    return newest.read_text(encoding="utf-8", errors="replace")


def _compare(bench: Bench, node: Node, kill: Kill) -> None:
    root = bench.project.root
    for output in node.outputs:
        made, wanted = root / output, root / "aside" / output
        if not made.exists():
            kill.differing.append(f"{output} was not made")
        elif found := _difference(made, wanted):
            kill.differing.append(f"{output} differs: {found}")


def _difference(made: Path, wanted: Path) -> str:
    """Compare tables, or the files of folders; figures hold the time and are not compared."""
    if made.is_dir():
        return "" if file_digests(made) == file_digests(wanted) else "other files"
    return difference(made, wanted) if made.suffix == ".parquet" else ""


def _count_answers(bench: Bench, kept: int, kill: Kill) -> None:
    """Require that what was kept before the rerun was not asked for in it."""
    assert bench.judge is not None
    asked = sum(n for prompt, n in bench.judge.given.items() if prompt in bench.judge.judged)
    wanted = kept_answers(bench.project.root) - kept
    kill.answers_kept = kept
    kill.asked_again = asked - wanted
    if asked != wanted:
        kill.lost.append(f"{asked} answers were asked for where {wanted} were missing")
