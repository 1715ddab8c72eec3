"""The end of a model server: by a signal, when idle, when the load failed, or with its workflow.

A regular end removes the socket first, so that the next client starts a new server.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from pathlib import Path
from types import FrameType

import uvicorn

from personae.base.process_identity import ProcessIdentity
from personae.inference.server.device_queue import Device
from personae.inference.server.load_state import Loading

LOG = logging.getLogger(__name__)

# Enough for clients that have found the server to send their request.
_LINGER_SECONDS = 2.0
_WATCH_SECONDS = 0.5

GRACE_SECONDS = 5
"""Seconds that a server waits after a signal for requests to end at their next batch."""


class SocketFile:
    """The path of this server's socket, removed only while it is still this server's."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._inode = path.stat().st_ino if path else 0

    def remove(self) -> None:
        """Remove the path unless a later server has replaced the socket."""
        if self._path is None:
            return
        try:
            if self._path.stat().st_ino == self._inode:
                self._path.unlink()
        except FileNotFoundError:
            pass  # removed already


class Server(uvicorn.Server):
    """A uvicorn server in which a signal ends running requests at their next batch."""

    def __init__(self, config: uvicorn.Config, device: Device, socket_file: SocketFile) -> None:
        super().__init__(config)
        self._device, self._socket_file = device, socket_file

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Shut down within a few seconds on SIGTERM or SIGINT."""
        LOG.info("signal %d: ending", sig)
        self._socket_file.remove()
        self._device.give_up_all()
        super().handle_exit(sig, frame)


class LifecycleWatch(threading.Thread):
    """Ends the server when it is idle or its owner has ended, even during a long request.

    Parameters
    ----------
    server, device, loading, socket_file
        Parts of the server that is watched and ended.
    owner
        The process that the server must not outlive; None if there is none.
    idle_seconds
        Seconds without a request after which the server ends.
    """

    def __init__(
        self,
        server: Server,
        device: Device,
        loading: Loading,
        socket_file: SocketFile,
        *,
        owner: ProcessIdentity | None,
        idle_seconds: float,
    ) -> None:
        super().__init__(name="watch", daemon=True)
        self._server, self._device, self._loading = server, device, loading
        self._socket_file, self._owner, self._idle_seconds = socket_file, owner, idle_seconds

    def run(self) -> None:
        """Check every half second for a reason to end, then shut down."""
        while not (why := self._reason()):
            self._sleep(min(_WATCH_SECONDS, self._idle_seconds))
        LOG.info("%s: ending", why)
        if self._loading.health.state == "failed":
            # Clients that wait for this load poll twice a second; let them read the reason.
            self._sleep(_LINGER_SECONDS)
        # Remove the socket, serve the clients that had found the server before, and end.
        self._socket_file.remove()
        self._sleep(_LINGER_SECONDS)
        while self._device.is_busy:
            self._sleep(_WATCH_SECONDS)
        self._server.should_exit = True

    def _reason(self) -> str | None:
        health = self._loading.health
        if health.state == "failed":
            return f"the load failed: {health.error}"
        if self._device.idle_seconds > self._idle_seconds:
            return f"idle for {self._idle_seconds:g} s"
        return None

    def _sleep(self, seconds: float) -> None:
        """Sleep, but exit at once if the workflow has ended, since all clients belonged to it."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            if self._owner and not self._owner.is_running:
                LOG.info("owner %d has ended: ending", self._owner.pid)
                self._socket_file.remove()
                os._exit(0)
            time.sleep(min(left, _WATCH_SECONDS))
