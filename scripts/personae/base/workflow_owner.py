"""Whose servers these are: the workflow process that a model server must not outlive.

The Snakefile calls `claim_ownership`, which names its own process in the environment variable
``PERSONAE_OWNER``; nodes inherit it and hand it to the server that they start. A group job on
another machine or in another Slurm allocation inherits the variable too, but there the process
it names is out of sight, so the Snakemake process of that allocation claims its own.
"""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import NamedTuple, Self

from personae.base.errors import PersonaeError

VARIABLE = "PERSONAE_OWNER"


class Owner(NamedTuple):
    """One process, unmistakably: its start time tells it from a later one with the same pid."""

    host: str
    job: str
    pid: int
    started: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``host:job:pid:started``; ValueError if the text is anything else."""
        host, job, pid, started = text.split(":")
        return cls(host, job, int(pid), started)

    def __str__(self) -> str:
        return ":".join(map(str, self))

    @property
    def is_near(self) -> bool:
        """Whether the process belongs to this host and this Slurm allocation."""
        return (self.host, self.job) == neighbourhood()

    @property
    def is_alive(self) -> bool:
        """Whether the process still runs; meaningful only if it `is_near`."""
        return process_start(self.pid) == self.started


def neighbourhood() -> tuple[str, str]:
    """Return the host's name and the Slurm job id (empty outside Slurm)."""
    return platform.node(), os.environ.get("SLURM_JOB_ID", "")


def process_start(pid: int) -> str | None:
    """Return when a process started, in clock ticks since boot; None if it does not run.

    A zombie does not run. Without ``/proc`` (not Linux) every process counts as gone.
    """
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    # The second field is the command in parentheses and may itself hold spaces or parentheses.
    fields = stat.rpartition(")")[2].split()
    return None if fields[0] in "ZX" else fields[19]


def claim_ownership() -> Owner | None:
    """Make this process the owner of servers started below it, unless one above already is.

    Without ``/proc`` nothing can be watched: nothing is claimed, and servers end when idle.
    """
    owner = _inherited()
    if owner is not None and owner.is_near and owner.is_alive:
        return owner
    started = process_start(os.getpid())
    if started is None:
        return None
    owner = Owner(*neighbourhood(), os.getpid(), started)
    os.environ[VARIABLE] = str(owner)
    return owner


def current_owner() -> Owner | None:
    """Return the owner of this process's servers; None means that they end when idle.

    Raises
    ------
    PersonaeError
        If the owner has ended: a node that outlives its workflow must not start a new server,
        which nobody would stop.
    """
    owner = _inherited()
    if owner is None or not owner.is_near:
        return None
    if not owner.is_alive:
        raise PersonaeError(f"the workflow that started this node (process {owner.pid}) has ended")
    return owner


def _inherited() -> Owner | None:
    text = os.environ.get(VARIABLE)
    try:
        return Owner.parse(text) if text else None
    except ValueError:
        raise PersonaeError(f"{VARIABLE}={text!r} is not host:job:pid:start; unset it") from None
