"""What a node used: CPU time, peak memory and bytes read, for its log."""

from __future__ import annotations

import re
import resource
from pathlib import Path
from typing import NamedTuple

_PROCESS = Path("/proc/self")
_LINE = re.compile(r"used ([\d.]+) s of CPU, ([\d.]+) GB of memory at most, read ([\d.]+) GB")


class NodeUsage(NamedTuple):
    """CPU seconds, peak memory and bytes read of a process, its imports included.

    Memory and bytes are zero where the system has no ``/proc``.
    """

    seconds: float
    memory: float
    read: float

    @classmethod
    def now(cls) -> NodeUsage:
        """Return what this process has used so far.

        The peak is that of this program: ``ru_maxrss`` begins with what its parent held.
        """
        used = resource.getrusage(resource.RUSAGE_SELF)
        memory = 1024 * _field("status", "VmHWM")
        return cls(used.ru_utime + used.ru_stime, memory, _field("io", "rchar"))

    def line(self) -> str:
        """Return the line of a node's log."""
        return (
            f"used {self.seconds:.1f} s of CPU, {self.memory / 1e9:.2f} GB of memory at most, "
            f"read {self.read / 1e9:.2f} GB"
        )

    @classmethod
    def of_log(cls, text: str) -> NodeUsage | None:
        """Return what the log of a finished node says; None if it has no such line."""
        found = _LINE.search(text)
        if found is None:
            return None
        seconds, memory, read = map(float, found.groups())
        return cls(seconds, 1e9 * memory, 1e9 * read)


def _field(file: str, name: str) -> float:
    path = _PROCESS / file
    if not path.is_file():
        return 0.0
    rows = (line.split(":", 1) for line in path.read_text(encoding="utf-8").splitlines())
    return next((float(value.split()[0]) for key, value in rows if key == name), 0.0)
