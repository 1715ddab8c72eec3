"""One Snakemake per project folder, and no jobs left in the queue by one that was killed.

The lock is the kernel's: it ends with the process that holds it, however that ends, so a killed
head process needs no ``--unlock``.
"""

from __future__ import annotations

import errno
import getpass
import logging
import os
import platform
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Final

from filelock import BaseFileLock, FileLock, Timeout

from personae.base.atomic_files import WriteError, explained
from personae.base.errors import PersonaeError
from personae.workflow.cluster.site_settings import job_prefix

_TIMEOUT = 60.0
_RECORD_BYTES: Final = 4096
_NO_LOCKS: Final = (errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS)
_held: list[BaseFileLock] = []


class HeadError(PersonaeError):
    """Another head process works here, or its jobs cannot be ended."""


def require_writable(folder: Path) -> None:
    """Write a small file and remove it, where Snakemake is about to write its own records.

    Snakemake itself meets a full or read-only disk with a traceback, and its log with another.

    Raises
    ------
    WriteError
        When the disk is full, or the folder may not be written.
    """
    path = folder / ".writable"
    try:
        with explained(path):
            folder.mkdir(parents=True, exist_ok=True)
            path.write_bytes(bytes(_RECORD_BYTES))
            path.unlink()
    except WriteError:
        logging.raiseExceptions = False
        raise


def claim_results(folder: Path) -> None:
    """Make this process the only one that runs jobs for ``folder``, until it ends.

    Parameters
    ----------
    folder
        The folder of all results, which is made if need be.

    Raises
    ------
    HeadError
        When another process holds it: which, on which machine, since when.
    WriteError
        When the disk is full, or the folder may not be written.
    """
    path = folder / ".head"
    with explained(path):
        folder.mkdir(parents=True, exist_ok=True)
        _acquire(path)
        since = time.strftime("%Y-%m-%d %H:%M:%S")
        text = f"Snakemake process {os.getpid()} on {platform.node()} since {since}\n"
        path.write_text(text, encoding="utf-8")


def _acquire(path: Path) -> None:
    lock = FileLock(path, blocking=False)
    try:
        lock.acquire()
    except Timeout:
        holder = path.read_text(encoding="utf-8", errors="replace").strip() or "another Snakemake"
        raise HeadError(
            f"{path.parent} is in use by {holder}; wait for it, or stop it with Ctrl-C, and start "
            "again"
        ) from None
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise
        print(f"{path}: this file system knows no locks; start one Snakemake only", file=sys.stderr)
    _held.append(lock)


def cancel_leftovers(prefix: str | None = None) -> int:
    """End the jobs that an earlier, killed head process left in the queue; return how many.

    They would write the same files as the jobs that are about to be submitted. What they finished
    is kept (see `personae.workflow.cluster.finished_nodes`). Call it only as the one head process
    of the folder.

    Raises
    ------
    HeadError
        When jobs are still there a minute after they were cancelled.
    """
    prefix = prefix or job_prefix()
    if shutil.which("squeue") is None or shutil.which("scancel") is None:
        return 0
    found = _queued(prefix)
    if not found:
        return 0
    print(
        f"cancelling {len(found)} jobs of a Snakemake that was killed: {' '.join(found)}",
        file=sys.stderr,
    )
    subprocess.run(["scancel", *found], check=False, timeout=_TIMEOUT)
    deadline = time.monotonic() + _TIMEOUT
    while left := _queued(prefix):
        if time.monotonic() > deadline:
            raise HeadError(f"jobs {' '.join(left)} are still in the queue; scancel them first")
        time.sleep(1)
    return len(found)


def _queued(prefix: str) -> list[str]:
    """Return the ids of this user's jobs whose names begin with ``prefix``."""
    command = ["squeue", "--noheader", "--user", getpass.getuser(), "--format=%i %j"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_TIMEOUT)
    except subprocess.TimeoutExpired:
        raise HeadError(f"squeue does not answer within {_TIMEOUT:g} s; try again later") from None
    pairs = (line.split(maxsplit=1) for line in done.stdout.splitlines())
    return [pair[0] for pair in pairs if len(pair) == 2 and pair[1].startswith(prefix)]
