"""Settings of the memory allocator for the model server, passed through its environment.

glibc gives large freed blocks back to the system at once, and every new one is then filled page by
page. A decoding step on a CPU spends a sixth of its time on that. Keeping what was freed costs
nothing but the peak that was reached anyway. One arena, as the heap of a second thread keeps less.
"""

from __future__ import annotations

from collections.abc import Mapping

VARIABLE = "GLIBC_TUNABLES"
_KEPT = 2**32
_TUNABLES = {
    "glibc.malloc.mmap_threshold": _KEPT,
    "glibc.malloc.trim_threshold": _KEPT,
    "glibc.malloc.arena_max": 1,
}


def keeping_memory(environment: Mapping[str, str]) -> dict[str, str]:
    """Return an environment in which freed memory is kept; settings of the user are kept.

    Other C libraries ignore the variable.
    """
    ours = ":".join(f"{name}={value}" for name, value in _TUNABLES.items())
    return {VARIABLE: ours, **environment}
