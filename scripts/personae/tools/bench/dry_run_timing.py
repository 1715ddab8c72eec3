"""The cost of planning the full replication: its dry run, with and without groups."""

from __future__ import annotations

import re
import subprocess
import sys
from typing import Final

from personae.base.errors import PersonaeError
from personae.tools.bench.measurement import BenchComparison, together

_JOBS: Final = 5000
# Runs a command and prints its CPU seconds and peak memory in kilobytes. In a separate process:
# the peak of a child begins with what its parent holds, which here would be models.
_MEASURED: Final = """
import resource, subprocess, sys
code = subprocess.call(sys.argv[1:])
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(used.ru_utime + used.ru_stime, used.ru_maxrss)
sys.exit(code)
"""
# A study of this name has no results, so that every job is planned.
_COMMAND: Final = (
    "-m", "snakemake", "--dry-run", "--quiet", "rules",
    "--configfile", "config/paper.yaml", "--config", "study=planned",
)  # fmt: skip


def comparisons() -> list[BenchComparison]:
    """Return CPU time and memory of the full study's dry run: for Slurm, and without a profile."""
    grouped = together(lambda: dry_run("--profile", "slurm"), 2)
    plain = together(dry_run, 2)
    name = "dry run for slurm / without a profile"
    return [
        BenchComparison(
            f"{name} (CPU s for 5,000 jobs)", grouped[0], plain[0], 10.0, "ours at most"
        ),
        BenchComparison(f"{name} (bytes of memory)", grouped[1], plain[1], None),
    ]


def dry_run(*arguments: str) -> tuple[float, float]:
    """Plan the full study; return CPU seconds for 5,000 of its jobs, and peak memory in bytes.

    Raises
    ------
    PersonaeError
        When Snakemake fails or counts no jobs.
    """
    done = subprocess.run(
        [sys.executable, "-c", _MEASURED, sys.executable, *_COMMAND, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    said, _, used = done.stdout.strip().rpartition("\n")
    found = re.search(r"^total +(\d+)$", said, re.M)
    if done.returncode or not found:
        raise PersonaeError(f"the dry run of config/paper.yaml failed: {said.strip()[-300:]}")
    seconds, kilobytes = map(float, used.split())
    return seconds * _JOBS / int(found[1]), kilobytes * 1024.0
