"""A real HTTP endpoint on this machine that misbehaves on purpose, and counts what it was asked."""

from __future__ import annotations

import json
import socket
import ssl
import struct
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self

Headers = dict[str, str]


@dataclass(frozen=True)
class Reply:
    """What is sent back; ``cut`` resets the connection after so many bytes of the body."""

    status: int
    body: bytes
    headers: Headers = field(default_factory=dict)
    delay: float = 0.0
    cut: int | None = None


def completion(text: str, finish: str = "stop", **more: Any) -> Reply:
    """Return a well-formed answer; ``logprobs`` and ``usage`` may be given."""
    return message({"content": text}, finish, **more)


def message(fields: dict[str, Any], finish: str = "stop", **more: Any) -> Reply:
    """Return an answer whose message has other fields than a text."""
    choice = {
        "index": 0,
        "finish_reason": finish,
        "message": {"role": "assistant", **fields},
        "logprobs": more.get("logprobs"),
    }
    usage = more.get("usage", {"prompt_tokens": 10, "completion_tokens": 2, "total_tokens": 12})
    record = {"id": "x", "object": "chat.completion", "created": 0, "model": "judge"}
    return Reply(200, json.dumps({**record, "choices": [choice], "usage": usage}).encode())


def failure(status: int, message: str = "no", **headers: str) -> Reply:
    """Return an error as endpoints phrase it."""
    return refusal(status, {"error": {"message": message, "type": "t"}}, **headers)


def refusal(status: int, record: dict[str, Any], **headers: str) -> Reply:
    """Return an error with a body of an endpoint's own."""
    body = json.dumps(record).encode()
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Reply(status, body, named)


def first_logprobs(tokens: list[str], top: dict[str, float]) -> dict[str, Any]:
    """Return log-probabilities of the tokens of an answer, alternatives at the first."""
    entries = [{"token": token, "logprob": value} for token, value in top.items()]
    return {
        "content": [
            {"token": token, "logprob": 0.0, "top_logprobs": entries if i == 0 else []}
            for i, token in enumerate(tokens)
        ]
    }


Behaviour = Callable[[dict[str, Any], int], Reply]
"""From the request and the number of times that it came before (from 0) to the reply."""


class Endpoint:
    """A context manager; ``behave`` may be exchanged while it runs. Port 0 is any free one."""

    def __init__(
        self, behave: Behaviour, certificate: Path | None = None, *, port: int = 0
    ) -> None:
        self.behave = behave
        self.asked: Counter[str] = Counter()
        self.answered: Counter[str] = Counter()
        self.headers: list[Headers] = []
        self.times: list[float] = []
        self.flights: list[int] = []  # requests in flight when each came, itself among them
        self.in_flight = self.most_in_flight = 0
        self._lock = threading.Lock()
        self._server = _Server(("127.0.0.1", port), self._handler())
        self._scheme = "http"
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
            self._scheme = "https"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def url(self) -> str:
        """Return the address, with /v1."""
        return f"{self._scheme}://127.0.0.1:{self._server.server_port}/v1"

    def reply(self, body: dict[str, Any], headers: Headers) -> Reply:
        """Count a request and say what follows."""
        prompt = body["messages"][-1]["content"]
        with self._lock:
            before = self.asked[prompt]
            self.asked[prompt] += 1
            self.headers.append(headers)
            self.times.append(time.monotonic())
            self.in_flight += 1
            self.flights.append(self.in_flight)
            self.most_in_flight = max(self.most_in_flight, self.in_flight)
        return self.behave(body, before)

    def leave(self) -> None:
        """Count a request out: before its reply, on which the next one may follow at once."""
        with self._lock:
            self.in_flight -= 1

    def done(self, body: dict[str, Any], reply: Reply) -> None:
        """Count a reply that was delivered whole."""
        with self._lock:
            if reply.status == 200 and reply.cut is None:
                self.answered[body["messages"][-1]["content"]] += 1

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        endpoint = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                reply = endpoint.reply(body, {k.lower(): v for k, v in self.headers.items()})
                time.sleep(reply.delay)
                endpoint.leave()
                try:
                    self._send(reply)
                except (BrokenPipeError, ConnectionResetError):
                    reply = failure(499)
                endpoint.done(body, reply)

            def _send(self, reply: Reply) -> None:
                self.send_response(reply.status)
                for name, value in {"Content-Type": "application/json", **reply.headers}.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(reply.body)))
                self.end_headers()
                self.wfile.write(reply.body[: reply.cut])
                if reply.cut is not None:
                    self.wfile.flush()
                    # Closing with this option sends a reset.
                    linger = struct.pack("ii", 1, 0)
                    self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                    self.connection.close()
                    self.close_connection = True

            def log_message(self, *_: object) -> None:
                pass

        return Handler


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256

    def handle_error(self, *_: object) -> None:
        """Say nothing of connections that end on purpose."""
