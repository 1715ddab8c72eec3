"""Part of the tests' copy of the project: records which nodes compute, and makes some fail.

A file ``faults/<persona>-<table>`` names the fault of the node that makes that table: ``fail``,
``sleep S``, ``eat MB`` or ``kill server``. It is removed first, unless it starts with the word
``always``, so that the next attempt succeeds.
"""

from __future__ import annotations

import functools
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any


def struck(main: Callable[..., None]) -> Callable[..., None]:
    """Return ``main`` of a script, which is recorded and made to fail before it starts."""

    @functools.wraps(main)
    def noted(**arguments: Any) -> None:
        path = Path(arguments["path_out"])
        node = f"{path.parent.name}-{path.stem}"
        start = time.time()
        strike(node, arguments["engine"])
        main(**arguments)
        gpu, job = os.environ.get("CUDA_VISIBLE_DEVICES", ""), os.environ["SLURM_JOB_ID"]
        server = arguments["engine"].info().pid
        with Path("computed").open("a") as file:  # short lines are appended whole
            file.write(f"{node} {job} gpu{gpu} {server} {start} {time.time()}\n")

    return noted


def strike(node: str, engine: Any) -> None:
    """Apply the fault of this node, if it has one."""
    path = Path("faults") / node
    if not path.exists():
        return
    command = path.read_text()
    if not command.startswith("always "):
        path.unlink()
    with Path("struck").open("a") as file:
        file.write(f"{node} {os.environ['SLURM_JOB_ID']}\n")
    word, _, rest = command.removeprefix("always ").partition(" ")
    if word == "fail":
        raise RuntimeError("struck by the test")
    if word == "sleep":
        time.sleep(float(rest))
    if word == "eat":
        held = bytearray(os.urandom(1024)) * (1024 * int(rest))
        time.sleep(6)  # longer than Slurm takes between two looks
        del held
    if word == "kill":
        os.kill(engine.info().pid, signal.SIGKILL)
