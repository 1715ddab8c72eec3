"""Find the running server of a spec on this node, or start it, and wait until it is ready.

The socket is created here, under a lock, and passed to the new server as an open file. It exists
before the server's first instruction runs, so the next node finds it and waits: however many nodes
start at once, there is one server. If the server dies, the kernel closes the socket, and the next
node replaces it.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from personae.api.requests import EngineSpec
from personae.api.wire_encoding import Wire
from personae.base.process_identity import ProcessIdentity
from personae.base.workflow_owner import current_owner
from personae.inference.client.server_directory import (
    ServerFiles,
    is_listening,
    listen,
    locked,
    place_of,
)
from personae.inference.client.server_environment import server_environment
from personae.inference.engine_errors import EngineError

Say = Callable[[str], None]

SERVER_MODULE = "personae.inference.server"

_LOG_LIFETIME = 7 * 24 * 3600.0
_SAY_EVERY = 10.0


class Health(Wire):
    """The state of a server; ``error`` is one line, empty unless the load failed."""

    state: Literal["loading", "ready", "failed"]
    stage: str
    error: str = ""


def ensure_server(spec: EngineSpec, say: Say) -> tuple[ServerFiles, bool]:
    """Return the files of the server for ``spec``, and whether it was started by this call.

    It may still be loading.

    Raises
    ------
    EngineError
        If no server can be started here.
    PersonaeError
        If this node's workflow has ended.
    """
    owner = current_owner()
    place = place_of(spec, owner)
    with locked(place.lock, spec.start_timeout):
        starts = not is_listening(place.socket)
        if starts:
            _tidy(place.lock.parent)
            pid = _start(spec, owner, place)
            gpus = os.environ.get("CUDA_VISIBLE_DEVICES")
            where = f" on GPU {gpus}" if gpus else ""
            say(f"model server {pid} started for {spec.model}{where} (log: {place.log})")
    return place, starts


def is_running(spec: EngineSpec) -> bool:
    """Return whether a server for ``spec`` runs on this machine, or elsewhere at ``spec.url``.

    Raises
    ------
    PersonaeError
        If this node's workflow has ended.
    """
    return bool(spec.url) or is_listening(place_of(spec, current_owner()).socket)


def _start(spec: EngineSpec, owner: ProcessIdentity | None, place: ServerFiles) -> int:
    """Start a server with a new listening socket; return its process id."""
    command = [sys.executable, "-m", SERVER_MODULE, "--spec", spec.model_dump_json()]
    command += ["--owner", str(owner)] if owner else []
    with listen(place.socket) as listener, place.log.open("wb") as log:
        handed_over = listener.fileno()
        command += ["--socket", str(place.socket), "--fd", str(handed_over)]
        try:
            # A new session, so that Ctrl-C in the terminal reaches the workflow only; the server
            # ends with its owner. Its standard streams must not hold the node's pipes open.
            process = subprocess.Popen(
                command,
                pass_fds=[handed_over],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env=server_environment(os.environ),
            )
        except OSError as error:
            raise EngineError(f"cannot start the model server: {error}") from error
    # The server outlives this process on purpose; this avoids a warning about a running child.
    process.returncode = 0
    return process.pid


def _tidy(folder: Path) -> None:
    """Remove sockets of killed servers, and their logs after a week."""
    for path in folder.glob("engine-*.sock"):
        if not is_listening(path):
            path.unlink(missing_ok=True)
    for path in folder.glob("engine-*.log"):
        if time.time() - path.stat().st_mtime > _LOG_LIFETIME:
            path.unlink(missing_ok=True)


def await_ready(
    health: Callable[[float], Health | None], seconds: float, what: str, say: Say
) -> None:
    """Wait until a server has loaded its model.

    Parameters
    ----------
    health
        Requests the server's state within the given seconds; None if there is no answer.
    seconds
        Longest time to wait.
    what
        The server's name in messages.
    say
        Receives the stages of the load, and a message every ten seconds while it continues.

    Raises
    ------
    EngineError
        If the load failed or took too long.
    """
    start = said = time.monotonic()
    pause, stage = 0.02, ""
    while (waited := time.monotonic() - start) < seconds:
        now = health(min(5.0, seconds - waited)) or Health(state="loading", stage="starting")
        if now.state == "ready":
            if stage:
                say(f"{what}: ready after {time.monotonic() - start:.1f} s")
            return
        if now.state == "failed":
            raise EngineError(f"{what}: {now.error}")
        if now.stage != stage or time.monotonic() - said > _SAY_EVERY:
            stage, said = now.stage, time.monotonic()
            say(f"{what}: {stage} ({said - start:.0f} s)")
        time.sleep(pause)
        pause = min(0.5, 1.2 * pause)
    raise EngineError(
        f"{what}: not ready after {seconds:g} s ({stage}); engine.start_timeout sets the limit"
    )
