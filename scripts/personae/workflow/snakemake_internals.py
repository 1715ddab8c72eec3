"""Everything that reaches beyond Snakemake's documented interface, with the reason for it.

The rules call these functions and touch no internals themselves. Written for Snakemake 9; when it
is upgraded, this is the module to check, with ``tests/workflow`` and ``tests/slurm``.
"""

from __future__ import annotations

import os
import sys
from typing import Any, NoReturn


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
    cannot plan anew. Its lock on the folder is lifted first, as the fresh process takes its own.
    """
    workflow.persistence.unlock()
    sys.stdout.flush()
    sys.stderr.flush()
    os.execv(sys.executable, sys.orig_argv)
