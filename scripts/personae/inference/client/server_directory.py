"""The files of a model server on this node: its socket, its log, and the lock for starting it."""

from __future__ import annotations

import hashlib
import os
import socket
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from filelock import FileLock, Timeout

import personae
from personae.api.requests import EngineSpec
from personae.base.process_identity import ProcessIdentity, neighbourhood
from personae.inference.engine_errors import EngineError

FOLDER_VARIABLES = ("PERSONAE_SOCKET_DIR", "SLURM_TMPDIR")

# The kernel's limit on a socket's path is 108 bytes, 104 on some systems.
_LONGEST_PATH = 100
_BACKLOG = 512
_SERVER_CODE = ("api", "inference")


class ServerFiles(NamedTuple):
    """The files of one server. All servers of a user on a node share one lock."""

    socket: Path
    log: Path
    lock: Path


def place_of(spec: EngineSpec, owner: ProcessIdentity | None) -> ServerFiles:
    """Return the files of the server for ``spec`` and ``owner``; equal ones share a server.

    Raises
    ------
    EngineError
        If the folder is not private to this user, or its path is too long for a socket.
    """
    folder = _private_folder()
    # Without an owner, host and allocation are in the key, in case the folder is not node-local.
    key = str(owner) if owner else " ".join([*neighbourhood(), _code_stamp()])
    name = f"engine-{spec.digest()[:12]}-{hashlib.sha256(key.encode()).hexdigest()[:8]}"
    path = folder / f"{name}.sock"
    if len(os.fsencode(path)) > _LONGEST_PATH:
        raise EngineError(
            f"{path} is too long for a socket (at most {_LONGEST_PATH} bytes); "
            f"set {FOLDER_VARIABLES[0]} to a shorter folder on this machine"
        )
    return ServerFiles(path, path.with_suffix(".log"), folder / "lock")


def _private_folder() -> Path:
    """Return a node-local folder that only this user can enter; create it if it is missing."""
    named = (os.environ.get(variable) for variable in FOLDER_VARIABLES)
    base = next(filter(None, named), tempfile.gettempdir())
    folder = Path(base) / f"personae-{os.getuid()}"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        # lstat: in a folder that is writable for all, another user could have created a link.
        status = folder.lstat()
    except OSError as error:
        raise EngineError(f"no folder for the model server's socket: {error}") from None
    private = stat.S_ISDIR(status.st_mode) and not stat.S_IMODE(status.st_mode) & 0o077
    if not private or status.st_uid != os.getuid():
        raise EngineError(f"{folder} must be a folder of yours with mode 0700; remove it")
    return folder


def _code_stamp() -> str:
    """Return names and times of the server's source files.

    A server without an owner may outlive an edit of its code; the edited code must not use it. A
    server with an owner ends with its workflow.
    """
    package = Path(personae.__file__).parent
    files = [path for part in _SERVER_CODE for path in sorted((package / part).rglob("*.py"))]
    return " ".join(f"{path}:{path.stat().st_mtime_ns}" for path in files)


@contextmanager
def locked(path: Path, seconds: float) -> Iterator[None]:
    """Hold the exclusive lock on a file; the kernel releases it if this process dies.

    Raises
    ------
    EngineError
        If another process holds it for longer than ``seconds``.
    """
    try:
        with FileLock(path, timeout=seconds, poll_interval=0.02):
            yield
    except Timeout:
        raise EngineError(f"{path} has been locked for {seconds:g} s") from None


def listen(path: Path) -> socket.socket:
    """Return a listening unix socket of mode 0600 at ``path``, replacing a dead one."""
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(str(path))
    path.chmod(0o600)
    listener.listen(_BACKLOG)
    return listener


def is_listening(path: Path) -> bool:
    """Whether a process holds the socket at ``path`` open."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        # With a full backlog connecting would block, so there is a listener.
        probe.settimeout(2)
        try:
            probe.connect(str(path))
        except (FileNotFoundError, ConnectionRefusedError):
            return False
        except (TimeoutError, BlockingIOError):
            return True
    return True
