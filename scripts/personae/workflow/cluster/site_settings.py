"""Settings of a site for ``profiles/slurm``, and the command that tells the states of jobs.

The profile calls these functions while Snakemake reads its command line, so this module needs
nothing but the standard library. Every variable is explained in ``profiles/slurm/README.md``.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Final, Literal

from personae.base.errors import PersonaeError
from personae.workflow.stages.registry import batch_groups

PREFIX: Final = "PERSONAE_SLURM_"

_TIMEOUT = 10.0
# The plugin distrusts squeue unless finished jobs stay listed for three of its intervals.
_INTERVALS_LISTED = 3

StatusCommand = Literal["sacct", "squeue"]


class SiteError(PersonaeError):
    """A variable whose value cannot be used."""


def text(name: str, default: str = "") -> str:
    """Return the variable ``PERSONAE_SLURM_<name>``, or ``default`` if it is unset or empty."""
    return os.environ.get(PREFIX + name) or default


def number(name: str, default: int) -> int:
    """Return a variable as a whole number of at least 1.

    Raises
    ------
    SiteError
        When it is anything else.
    """
    value = text(name, str(default))
    if not value.isdecimal() or int(value) < 1:
        raise SiteError(f"{PREFIX}{name}={value!r}: give a whole number of at least 1")
    return int(value)


def default_resources() -> dict[str, str | int]:
    """Return the default resources of a job, which are those of a CPU node.

    ``one_at_a_time`` makes Snakemake plan the nodes of a group one after another: the memory of a
    group is then that of its largest node, and its time the sum of all.
    """
    partition = text("CPU_PARTITION") or text("PARTITION")
    asked: dict[str, str | int] = {
        "runtime": f"{number('CPU_MINUTES', 30)} * attempt",
        "mem_mb": f"{number('CPU_MEM_MB', 8000)} * attempt",
        # Not used; a constant keeps Snakemake from inspecting every job's inputs.
        "disk_mb": 1000,
        "one_at_a_time": 1,
    }
    strings = {
        "slurm_partition": partition,
        "slurm_account": text("ACCOUNT"),
        "qos": text("QOS"),
        "constraint": text("CONSTRAINT"),
        "slurm_extra": text("EXTRA"),
    }
    # Quoted, so that Snakemake does not take the text for a Python expression.
    return asked | {name: repr(value) for name, value in strings.items() if value}


def group_components() -> dict[str, int]:
    """Return how many personas share an allocation, by group."""
    sizes = {True: number("GROUP", 8), False: number("TABLE_GROUP", 10)}
    return {f"{group}_{{model}}": sizes[runs] for group, runs in batch_groups().items()}


def status_command() -> StatusCommand:
    """Return the command that can tell the states of jobs here, found out by asking.

    If Slurm has no accounting, ``sacct`` exists but always fails. ``squeue`` always answers,
    but forgets jobs some minutes after their end.
    """
    chosen = text("STATUS")
    if chosen in ("sacct", "squeue"):
        return "sacct" if chosen == "sacct" else "squeue"
    if chosen:
        raise SiteError(f"{PREFIX}STATUS={chosen!r}: give sacct or squeue")
    storage = _slurm_config().get("AccountingStorageType", "")
    if not storage or storage.endswith("/none"):
        return "squeue"
    return "sacct" if _answers("sacct", "-X", "--noheader", "--format=JobID") else "squeue"


def poll_seconds() -> int:
    """Return the seconds between two looks at the states of jobs.

    Never so many that ``squeue`` could have forgotten a job in between: the plugin would then turn
    to ``sacct``, which may not answer.
    """
    wanted = number("POLL_SECONDS", 20)
    if status_command() == "sacct":
        return wanted
    found = re.match(r"\d+", _slurm_config().get("MinJobAge", ""))
    listed = int(found.group()) if found else 300
    return max(1, min(wanted, listed // _INTERVALS_LISTED))


def job_prefix(folder: Path | None = None) -> str:
    """Return the beginning of the names of all jobs that work for a folder (the current one)."""
    path = (folder or Path.cwd()).resolve()
    return "personae-" + hashlib.sha256(str(path).encode()).hexdigest()[:10]


def _slurm_config() -> Mapping[str, str]:
    """Return the settings that ``scontrol show config`` tells; none where there is no Slurm."""
    if shutil.which("scontrol") is None:
        return {}
    done = _run("scontrol", "show", "config")
    lines = done.stdout.splitlines() if done else []
    pairs = (line.split("=", 1) for line in lines if "=" in line)
    return {name.strip(): value.strip() for name, value in pairs}


def _answers(*command: str) -> bool:
    done = _run(*command) if shutil.which(command[0]) else None
    return done is not None and done.returncode == 0


def _run(*command: str) -> subprocess.CompletedProcess[str] | None:
    """Run a command of Slurm; None if it does not answer in time."""
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=_TIMEOUT)
    except subprocess.TimeoutExpired:
        return None
