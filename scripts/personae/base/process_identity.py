"""Which process holds something, and whether it still lives."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import NamedTuple


class Owner(NamedTuple):
    """A process: its machine, its number, and when it began (numbers are used again)."""

    host: str
    pid: int
    began: str

    @classmethod
    def here(cls) -> Owner:
        """Return this process."""
        return cls(socket.gethostname(), os.getpid(), _began(os.getpid()))

    @classmethod
    def parse(cls, text: str) -> Owner:
        """Read what ``str`` wrote."""
        host, pid, began = text.split(" ")
        return cls(host, int(pid), began)

    def __str__(self) -> str:
        return f"{self.host} {self.pid} {self.began}"

    def is_gone(self) -> bool:
        """Say whether the process has ended; of another machine's processes nothing is known."""
        if self.host != socket.gethostname():
            return False
        return _began(self.pid) != self.began


def _began(pid: int) -> str:
    """Return the start time of a process in clock ticks since boot; empty when it has ended."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return "" if not _alive(pid) else "unknown"
    # The name before ")" may hold spaces and brackets. State "Z" has ended and waits to be reaped.
    fields = text.rpartition(")")[2].split()
    return "" if fields[0] == "Z" else fields[19]


def _alive(pid: int) -> bool:
    """Without /proc: a signal that does nothing finds out."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
