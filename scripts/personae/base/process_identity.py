"""Identify a process, and test whether it still runs."""

from __future__ import annotations

import os
import platform
from typing import Final, NamedTuple, Self

import psutil

# psutil derives start times from the boot time, which may shift slightly when the clock is set.
_SAME_SECONDS: Final = 1.5


class ProcessIdentity(NamedTuple):
    """One process; the start time distinguishes it from a later one with the same id.

    Attributes
    ----------
    host, job
        Name of its machine, and its Slurm job id, empty outside Slurm.
    pid
        Process id.
    started
        Start time in seconds since the epoch.
    """

    host: str
    job: str
    pid: int
    started: float

    @classmethod
    def of(cls, pid: int) -> Self | None:
        """Return the process of this machine with this id; None if it has ended.

        A zombie has ended: it only waits for its parent.
        """
        try:
            process = psutil.Process(pid)
            if process.status() == psutil.STATUS_ZOMBIE:
                return None
            return cls(*neighbourhood(), pid, process.create_time())
        except psutil.NoSuchProcess:
            return None

    @classmethod
    def here(cls) -> Self:
        """Return this process."""
        return cls(*neighbourhood(), os.getpid(), psutil.Process().create_time())

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``host:job:pid:started``; raises ValueError for any other text."""
        host, job, pid, started = text.split(":")
        return cls(host, job, int(pid), float(started))

    def __str__(self) -> str:
        return ":".join(map(str, self))

    @property
    def is_near(self) -> bool:
        """Whether the process belongs to this host and this Slurm allocation."""
        return (self.host, self.job) == neighbourhood()

    @property
    def is_running(self) -> bool:
        """Whether the process still runs; meaningful only on its own host."""
        now = ProcessIdentity.of(self.pid)
        return now is not None and abs(now.started - self.started) < _SAME_SECONDS

    @property
    def is_gone(self) -> bool:
        """Whether the process has ended; False for those of other machines."""
        return self.host == platform.node() and not self.is_running


def neighbourhood() -> tuple[str, str]:
    """Return the host's name and the Slurm job id (empty outside Slurm)."""
    return platform.node(), os.environ.get("SLURM_JOB_ID", "")
