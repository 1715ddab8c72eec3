"""HTTP to one model server, by a local socket or a URL; every failure becomes one line."""

from __future__ import annotations

import json
import os
import re
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import ValidationError

from personae.api.requests import EngineSpec
from personae.api.wire_encoding import Wire
from personae.inference.client.launch import Health, Say, await_ready, ensure_server
from personae.inference.client.server_directory import ServerFiles
from personae.inference.client.server_environment import TOKEN_VARIABLE
from personae.inference.engine_errors import EngineError

if TYPE_CHECKING:  # slow to import, and not needed by every node
    import httpx
    import pyarrow as pa

    from personae.api.arrow_stream import Heard

_UNIX = "unix:"
_CONNECT_SECONDS = 10.0
_DYING_SECONDS = 60.0
_LOOK_AGAIN = 0.1
# Log lines in which a server, Python or a library states why the process ends.
_WHY = re.compile(
    r"ending$|^\w*(\.\w+)*(Error|Exception|Exit)\b|[Ff]atal|terminate called|CUDA error"
)

# A server may send nothing while it computes a long request, so there is no read time-out. If a
# server on another machine disappears, the kernel detects it within two minutes.
_KEEP_ALIVE = [
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 60),
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 10),
    (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 6),
]


class ServerGoneError(EngineError):
    """The server has ended or cannot be reached; another request starts a new one."""


class Channel:
    """Sends requests to the server of one spec, which it finds or starts first.

    Raises
    ------
    EngineError
        From every method: the server cannot be reached or started, refuses, fails or ends.
    PersonaeError
        From every method: the workflow that started this process has ended.
    """

    def __init__(self, spec: EngineSpec, say: Say) -> None:
        self._spec, self._say = spec, say
        self._place: ServerFiles | None = None
        self._started = False
        self._http = self._open()

    def close(self) -> None:
        """Close the connections; the server keeps running."""
        self._http.close()

    def get(self, path: str) -> bytes:
        """Return the body of a reply."""
        with self._exchange("GET", path, None) as reply:
            return reply.read()

    def post(self, path: str, body: Wire) -> bytes:
        """Return the body of the reply to ``body`` as JSON."""
        with self._exchange("POST", path, body) as reply:
            return reply.read()

    def frames(self, path: str, body: Wire, hear: Callable[[Heard], None]) -> pa.Schema:
        """Return the schema of the reply to ``body``; ``hear`` receives frames as they arrive."""
        from personae.api.arrow_stream import read_frames

        with self._exchange("POST", path, body) as reply:
            return read_frames(reply.iter_raw(), hear)

    @contextmanager
    def _exchange(self, method: str, path: str, body: Wire | None) -> Iterator[httpx.Response]:
        import httpx

        content = None if body is None else body.model_dump_json().encode()
        try:
            reply = self._send(method, path, content)
            try:
                if reply.is_error:
                    hint = self._log_hint if reply.is_server_error else ""
                    raise EngineError(f"{path}: {_refusal(reply)}{hint}")
                yield reply
            finally:
                reply.close()
        except httpx.HTTPError as error:
            raise ServerGoneError(f"{self._ending(error, path)}{self._log_hint}") from error

    def _send(self, method: str, path: str, content: bytes | None) -> httpx.Response:
        """Send a request, to a new server if the old one ended before it replied.

        A server that is being killed may still accept a connection and reset it. Sending the
        request again is safe, since its result depends only on the request.
        """
        import httpx

        headers = {"content-type": "application/json"}
        for _ in range(2):
            request = self._http.build_request(method, path, content=content, headers=headers)
            try:
                return self._http.send(request, stream=True)
            except (httpx.ConnectError, httpx.ReadError) as error:
                refused = error
                self._http = self._open()
        raise refused

    def _open(self) -> httpx.Client:
        """Find or start the server and return a client for it when it is ready.

        A server that was found may be ending: a killed one listens until the kernel has freed its
        memory. A server that this process started is not started again.
        """
        deadline = time.monotonic() + _DYING_SECONDS
        while True:
            try:
                return self._ready_client()
            except ServerGoneError:
                if self._place is None or self._started or time.monotonic() > deadline:
                    raise
            time.sleep(_LOOK_AGAIN)

    def _ready_client(self) -> httpx.Client:
        spec = self._spec
        self._place = None
        if not spec.url:
            self._place, self._started = ensure_server(spec, self._say)
        client = self._client()
        try:
            what = f"model server of {spec.model}"
            await_ready(lambda s: self._health(client, s), spec.start_timeout, what, self._say)
        except EngineError as error:
            client.close()
            raise type(error)(f"{error}{self._log_hint}") from error
        return client

    def _client(self) -> httpx.Client:
        """Return a client that opens one connection per request.

        Reusing a connection saves little on a local socket, and a connection that the server is
        closing would look like a crash.
        """
        import httpx

        limits = httpx.Limits(max_keepalive_connections=0)
        timeout = httpx.Timeout(None, connect=_CONNECT_SECONDS)
        url = self._spec.url
        if url and not url.startswith(_UNIX):
            remote = httpx.HTTPTransport(limits=limits, socket_options=_KEEP_ALIVE)
            token = os.environ.get(TOKEN_VARIABLE)
            headers = {"authorization": f"Bearer {token}"} if token else {}
            return httpx.Client(transport=remote, base_url=url, timeout=timeout, headers=headers)
        path = str(self._place.socket) if self._place else str(url).removeprefix(_UNIX)
        # A TLS context takes 20 ms to load and is not needed on a local socket.
        local = httpx.HTTPTransport(limits=limits, uds=path, verify=False, trust_env=False)
        return httpx.Client(transport=local, base_url="http://model-server", timeout=timeout)

    def _health(self, client: httpx.Client, seconds: float) -> Health | None:
        import httpx

        try:
            reply = client.get("/health", timeout=seconds)
        except httpx.TimeoutException:
            return None
        except httpx.HTTPError as error:
            raise ServerGoneError(self._ending(error, "its start")) from error
        try:
            return Health.model_validate_json(reply.content)
        except ValidationError:
            raise EngineError(_refusal(reply)) from None

    def _ending(self, error: httpx.HTTPError, during: str) -> str:
        """Return the message that the server ended or cannot be reached."""
        if self._place is None:
            url = self._spec.url
            return f"the model server at {url} cannot be reached during {during}: {error}"
        reason = _reason(self._place.log)
        return f"the model server of {self._spec.model} ended during {during}: {reason}"

    @property
    def _log_hint(self) -> str:
        return f" (log: {self._place.log})" if self._place else ""


def _refusal(reply: httpx.Response) -> str:
    """Return the server's one-line reason for refusing a request."""
    try:
        error = json.loads(reply.read())["error"]
        return f"{error['type']}: {error['message']}"
    except (ValueError, KeyError, TypeError):
        return f"HTTP status {reply.status_code}; is this a personae model server?"


def _reason(log: Path) -> str:
    """Return the line of a server's log that states why it ended, or that there is none."""
    try:
        text = log.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return "its log does not exist"
    lines = [line.strip() for line in text.split("\n") if line.strip()]
    if said := next((line for line in reversed(lines) if _WHY.search(line)), ""):
        return said
    last = lines[-1] if lines else "nothing"
    return (
        "it was killed, by a signal or by the system for lack of memory, and logged no reason; "
        f"its last line is: {last}"
    )
