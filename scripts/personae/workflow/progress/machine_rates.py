"""How fast the nodes of earlier runs were on this machine, by rule."""

from __future__ import annotations

import contextlib
import json
import os
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Final, NamedTuple

from platformdirs import user_cache_path

from personae.base.atomic_files import replace_atomically

_FILE: Final = "node_seconds.json"
_KEPT: Final = 0.5
"""Weight of what earlier runs measured beside the last one: a busy machine is soon forgotten."""


class Measured(NamedTuple):
    """Seconds that a rule's nodes took, and the seconds that the estimate expected of them."""

    seconds: float
    expected: float


def this_machine() -> str:
    """Return what tells machines apart: name, processor and cores."""
    return f"{platform.node()}, {platform.processor() or platform.machine()}, {os.cpu_count()}"


def load(folder: Path | None = None) -> dict[str, Measured]:
    """Return what earlier runs measured on this machine; empty if there were none."""
    try:
        whole = json.loads(_path(folder).read_text("utf-8"))
        return {rule: Measured(*map(float, one)) for rule, one in whole[this_machine()].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def keep(run: Mapping[str, Measured], folder: Path | None = None) -> None:
    """Add what a run measured; if the file cannot be written, the next run has no figures."""
    path, before = _path(folder), load(folder)
    for rule, new in run.items():
        old = before.get(rule, Measured(0.0, 0.0))
        before[rule] = Measured(*(_KEPT * a + b for a, b in zip(old, new, strict=True)))
    try:
        whole = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        whole = {}
    whole = {**(whole if isinstance(whole, dict) else {}), this_machine(): before}
    with contextlib.suppress(OSError), replace_atomically(path) as partial:
        partial.write_text(json.dumps(whole, indent=1, sort_keys=True), "utf-8")


def _path(folder: Path | None) -> Path:
    return (folder or user_cache_path("personae")) / _FILE
