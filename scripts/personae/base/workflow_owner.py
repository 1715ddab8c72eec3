"""The workflow process that owns nodes and model servers; none of them outlives it.

The Snakefile calls `claim_ownership`, which names its own process in the environment variable
``PERSONAE_OWNER``; nodes inherit it and pass it to the servers that they start. A group job on
another machine or in another Slurm allocation inherits the variable, too, but cannot observe that
process, so the Snakemake process of the allocation claims ownership itself.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from personae.base.errors import PersonaeError
from personae.base.process_identity import ProcessIdentity

VARIABLE = "PERSONAE_OWNER"
_CHECK_SECONDS: Final = 1.0


def claim_ownership() -> ProcessIdentity:
    """Make this process the owner of servers started below it, unless a parent already is."""
    owner = _inherited()
    if owner is None or not owner.is_near or not owner.is_running:
        owner = ProcessIdentity.here()
        os.environ[VARIABLE] = str(owner)
    return owner


def current_owner() -> ProcessIdentity | None:
    """Return the owner of this process's servers; None means that they end when idle.

    Raises
    ------
    PersonaeError
        If the owner has ended: a node that outlives its workflow must not start a server, since
        nothing would stop it.
    """
    owner = _inherited()
    if owner is None or not owner.is_near:
        return None
    if not owner.is_running:
        raise PersonaeError(f"the workflow that started this node (process {owner.pid}) has ended")
    return owner


@contextmanager
def ending_with_owner(say: Callable[[str], None]) -> Iterator[None]:
    """Run a block, and end this process by SIGTERM if its owner ends meanwhile.

    For work that no server and no endpoint watches: the next run of the study would do it a second
    time, beside this process.

    Parameters
    ----------
    say
        Is told why, before the signal.
    """
    done = threading.Event()

    def watch() -> None:
        while not done.wait(_CHECK_SECONDS):
            try:
                current_owner()
            except PersonaeError as error:
                say(str(error))
                os.kill(os.getpid(), signal.SIGTERM)
                return

    threading.Thread(target=watch, name="owner", daemon=True).start()
    try:
        yield
    finally:
        done.set()


def _inherited() -> ProcessIdentity | None:
    text = os.environ.get(VARIABLE)
    try:
        return ProcessIdentity.parse(text) if text else None
    except ValueError:
        raise PersonaeError(f"{VARIABLE}={text!r} is not host:job:pid:start; unset it") from None
