"""Everything that reaches beyond Snakemake's documented interface, with the reason for it.

The rules call these functions and touch no internals themselves. Written for Snakemake 9; when it
is upgraded, this is the module to check, with ``tests/workflow`` and ``tests/slurm``.
"""

from __future__ import annotations

import base64
import json
import os
import sys
from pathlib import Path
from typing import Any, Final, NoReturn

_RECORDS: Final = Path(".snakemake")
_KINDS: Final = ("metadata", "incomplete")


def keep_group_going(workflow: Any) -> None:
    """In a batch job, finish the other nodes of a group after one of them has failed.

    Snakemake does not pass ``--keep-going`` on to the process that runs a group. That process has
    its settings only after the rules are read, so an input function has to call this.
    """
    if workflow.remote_exec and workflow.execution_settings is not None:
        workflow.execution_settings.keep_going = True


def start_again(workflow: Any) -> NoReturn:
    """Replace this process by a fresh one with the same command line.

    For a head process that finds that files have changed since it planned its jobs: Snakemake
    cannot plan again. Its lock on the folder is released first, since the new process takes its
    own.
    """
    workflow.persistence.unlock()
    sys.stdout.flush()
    sys.stderr.flush()
    os.execv(sys.executable, sys.orig_argv)


def damaged_records(project: Path) -> dict[Path, Path]:
    """Return Snakemake's records that are cut short or not JSON, each with the file it is about.

    A process that is killed while it writes a record leaves half of it. Snakemake then forgets
    what the file was made from, or that it is incomplete, or fails with a traceback. A record is
    JSON in a file whose name is the base64 form of the path, in folders that begin with ``@`` where
    that is long.
    """
    found = {}
    for folder in (project / _RECORDS / kind for kind in _KINDS):
        for record in folder.rglob("*"):
            if record.is_file() and not _is_whole(record.read_bytes()):
                name = "".join(part.removeprefix("@") for part in record.relative_to(folder).parts)
                try:
                    found[record] = Path(base64.urlsafe_b64decode(name).decode())
                except ValueError:  # no record
                    continue
    return found


def _is_whole(record: bytes) -> bool:
    try:
        return isinstance(json.loads(record), dict)
    except (ValueError, RecursionError):
        return False
