"""The processes of a study: which node each one runs, and how some of them are ended."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import time
from pathlib import Path
from typing import Literal

import psutil

Victim = Literal["head", "node", "server", "all", "interrupt", "hang-up"]

VICTIMS: tuple[Victim, ...] = ("head", "node", "server", "all", "interrupt", "hang-up")
# What no run may say, whatever ended the run before it.
FORBIDDEN = ("LockException", "--unlock", "Traceback (most recent call last)")
_SCRIPT = re.compile(r"\.snakemake/scripts/tmp[^/]*\.(\w+)\.py")
_SECONDS_TO_END = 60.0


def processes_in(folder: Path) -> list[psutil.Process]:
    """Return the processes that work in a folder, but for this one."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if process.pid != os.getpid() and Path(process.cwd()) == folder:
                found.append(process)
    return found


def rule_of(process: psutil.Process) -> str:
    """Return the rule whose script a process runs; empty for another process."""
    try:
        found = _SCRIPT.search(" ".join(process.cmdline()))
    except psutil.Error:
        return ""
    return found.group(1) if found else ""


def strike(folder: Path, head: subprocess.Popen[bytes], victim: Victim) -> None:
    """End processes of a run in a folder.

    Parameters
    ----------
    head
        Snakemake, which leads its own process group.
    victim
        ``head``, ``node``, ``server`` and ``all`` are killed by SIGKILL. ``interrupt`` (SIGINT) and
        ``hang-up`` (SIGHUP) go to the whole group, as from a terminal.
    """
    if victim in ("interrupt", "hang-up"):
        os.killpg(head.pid, signal.SIGINT if victim == "interrupt" else signal.SIGHUP)
        return
    if victim in ("head", "all"):
        head.kill()
    for process in processes_in(folder):
        with contextlib.suppress(psutil.Error):
            is_server = "personae.inference.server" in " ".join(process.cmdline())
            is_node = bool(rule_of(process))
            if (
                victim == "all"
                or (victim == "node" and is_node)
                or (victim == "server" and is_server)
            ):
                process.kill()


def outliving(folder: Path) -> list[str]:
    """Wait until no process of the study is left, which is a promise; return those that stay."""
    deadline = time.monotonic() + _SECONDS_TO_END
    while left := processes_in(folder):
        if time.monotonic() > deadline:
            for process in left:
                process.kill()
            return [f"a process outlives its run: {p}" for p in left]
        time.sleep(0.1)
    return []


def forbidden_words(said: str, victim: Victim) -> list[str]:
    """Return the lines of a run's output that no run may say."""
    # Ctrl-C reaches a node while it still imports, before it can catch anything.
    words = FORBIDDEN[:-1] if victim == "interrupt" else FORBIDDEN
    return [line for line in said.splitlines() if any(word in line for word in words)]
