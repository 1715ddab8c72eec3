"""Processes of a whole study killed at random moments, while nodes run beside each other."""

from __future__ import annotations

import contextlib
import os
import random
import re
import signal
import subprocess
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from ..signals import reset_signals
from .processes import VICTIMS, Victim, forbidden_words, outliving, processes_in, rule_of, strike
from .study import TortureStudy

# Nodes that ask a model or a judge, which is what a kill can cost.
ASKING = re.compile(
    r"generate_|extract_|judge_|sweep_|steer_trait|cap_responses|measure_capping_cost|replay_|"
    r"project_last|project_conv|calibrate_judges"
)
_KEPT = re.compile(r"(\d+) of \d+ rows were computed before")
_PATIENCE = 300.0
# Share of kills that come as soon as some rows of the node are there: those must not be lost.
_AFTER_ROWS = 0.5


@dataclass
class Kills:
    """Processes that were killed, and the results."""

    seed: int
    hit: Counter[str] = field(default_factory=Counter)
    victims: Counter[str] = field(default_factory=Counter)
    rows_kept: int = 0
    failures: list[str] = field(default_factory=list)


def kill_often(study: TortureStudy, n: int, seed: int) -> Kills:
    """Start the study and kill something in it, ``n`` times, each run continuing the previous one.

    Kinds of node that were not hit yet are preferred. A run that ends by itself has one kind of
    node forced in the next, so that there is always something to kill.
    """
    kills, draw, forced = Kills(seed), random.Random(seed), ""
    for number in range(n):
        victim = VICTIMS[number % len(VICTIMS)]
        said = _killed_run(study, victim, kills, draw, forced)
        wrong = [*forbidden_words(said, victim), *outliving(study.project.root)]
        kills.failures += [f"kill {number} ({victim}): {line}" for line in wrong]
        kills.rows_kept += _rows_kept(study.results)
        missing = sorted(_asking_rules(study) - set(kills.hit))
        forced = draw.choice(missing or sorted(kills.hit)) if _is_complete(study) else ""
    return kills


def finish(study: TortureStudy, kills: Kills) -> None:
    """Run to the end, which must succeed."""
    done = study.run()
    kills.rows_kept += _rows_kept(study.results)
    if done.returncode:
        kills.failures.append(f"the plain rerun failed: {done.stderr[-500:]}")


def _killed_run(
    study: TortureStudy, victim: Victim, kills: Kills, draw: random.Random, forced: str
) -> str:
    command, environment = study.command(*(("--forcerun", forced) if forced else ()))
    log = study.project.root / "torture.log"
    with log.open("w+", encoding="utf-8") as out:
        running = subprocess.Popen(
            command,
            cwd=study.project.root,
            env=environment,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=reset_signals,
        )
        if rule := _wait_for_node(study, running, kills.hit):
            if draw.random() < _AFTER_ROWS:
                _wait_for_rows(study, rule)
            else:
                time.sleep(draw.uniform(0.0, 2.0))
            strike(study.project.root, running, victim)
            kills.hit[rule] += 1
            kills.victims[victim] += 1
        with contextlib.suppress(subprocess.TimeoutExpired):
            # If a node or server was killed, the rest of the run continues; it is not waited for.
            running.wait(15 if victim in ("node", "server") else _PATIENCE)
        if running.poll() is None:
            os.killpg(running.pid, signal.SIGKILL)
            running.wait()
        out.seek(0)
        return out.read()


def _wait_for_node(study: TortureStudy, running: subprocess.Popen[bytes], hit: Counter[str]) -> str:
    """Return the rule of a running node with requests, preferably one that was not hit before."""
    deadline, fallback = time.monotonic() + _PATIENCE, time.monotonic() + 120
    while running.poll() is None and time.monotonic() < deadline:
        rules = {rule_of(process) for process in processes_in(study.project.root)}
        asking = {rule for rule in rules if ASKING.match(rule)}
        fresh = asking - set(hit)
        if fresh or (asking and time.monotonic() > fallback):
            return sorted(fresh or asking)[0]
        time.sleep(0.05)
    return ""


def _wait_for_rows(study: TortureStudy, rule: str) -> None:
    """Wait until another row of a node was written, or no node of the rule runs any more."""
    before = _bytes_kept(study.results)
    while _bytes_kept(study.results) <= before:
        if rule not in {rule_of(process) for process in processes_in(study.project.root)}:
            return
        time.sleep(0.02)


def _bytes_kept(results: Path) -> int:
    total = 0
    for path in (results / ".finished").glob("rows-*/*"):
        with contextlib.suppress(FileNotFoundError):
            total += path.stat().st_size
    return total


def _rows_kept(results: Path) -> int:
    """Count the rows that nodes did not request again, from their logs, and empty the logs."""
    total = 0
    for path in results.rglob("*.log"):
        text = path.read_text(encoding="utf-8", errors="replace")
        total += sum(int(number) for number in _KEPT.findall(text))
        path.write_text("", encoding="utf-8")
    return total


def _is_complete(study: TortureStudy) -> bool:
    return (study.results / "report.html").exists()


def _asking_rules(study: TortureStudy) -> set[str]:
    names = (study.project.root / "scripts").glob("*/*.py")
    return {path.stem for path in names if ASKING.match(path.stem)}
