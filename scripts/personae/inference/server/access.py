"""AccessRules checks of a server on a port: token, host name, and size of the body.

A unix socket needs none of them: only its owner can open its file.
"""

from __future__ import annotations

import hmac
import ipaddress
import json
import os
import secrets
import socket
from typing import TYPE_CHECKING, Final, NamedTuple

from personae.base.errors import PersonaeError
from personae.inference.client.server_environment import TOKEN_VARIABLE

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

MOST_BYTES: Final = 256 * 2**20
"""Largest body of a request: 40 million token ids, or 10,000 vectors of a large model."""


class _RefusedError(Exception):
    """A request that is refused, with the HTTP status and the reason."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class AccessRules(NamedTuple):
    """The token and host names that requests must have.

    Attributes
    ----------
    token
        Sent as ``Authorization: Bearer TOKEN``, as OpenAI's clients send their key; "" asks for
        none, but then pages of other origins that a browser shows may not ask.
    names
        Accepted names in the Host header, lower case. Numeric addresses are always accepted: a
        malicious web page in a browser can send its own host name, but not an address.
    """

    token: str
    names: frozenset[str]


def access_of(host: str, allowed: list[str], *, is_open: bool = False) -> tuple[AccessRules, bool]:
    """Return what a server bound to ``host`` asks for, and whether its token is a new one.

    The token is that of the environment, if it has one.

    Parameters
    ----------
    is_open
        Ask for no token, unless the environment has one.

    Raises
    ------
    PersonaeError
        If an open server would be reached from other machines.
    """
    given = os.environ.get(TOKEN_VARIABLE, "")
    names = {"localhost", host, socket.gethostname(), socket.getfqdn(), *allowed}
    if is_open and not is_loopback(host):
        raise PersonaeError(f"--host {host}: without a token, use 127.0.0.1 or ::1")
    token = given or ("" if is_open else secrets.token_urlsafe(32))
    return AccessRules(token, frozenset(name.lower() for name in names)), bool(token and not given)


def is_loopback(host: str) -> bool:
    """Return whether an address is reached from this machine alone."""
    return host == "localhost" or (_is_address(host) and ipaddress.ip_address(host).is_loopback)


class AccessGuard:
    """Refuses requests without access before their body is read or parsed."""

    def __init__(self, app: ASGIApp, access: AccessRules, most_bytes: int = MOST_BYTES) -> None:
        self._app, self._access, self._most = app, access, most_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or reply with the reason for its refusal."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = {name.decode("latin-1"): value for name, value in scope["headers"]}
        taken = 0

        async def measured() -> Message:
            nonlocal taken
            message = await receive()
            taken += len(message.get("body", b""))
            if taken > self._most:
                raise _RefusedError(413, self._too_large)
            return message

        try:
            self._check(headers, is_page=scope["path"] == "/" and scope["method"] == "GET")
            await self._app(scope, measured, send)
        except _RefusedError as refused:
            await _answer(send, refused.status, str(refused))

    @property
    def _too_large(self) -> str:
        return f"the body has more than {self._most:,} bytes; send it in parts"

    def _check(self, headers: dict[str, bytes], *, is_page: bool) -> None:
        host = _name_in(headers.get("host", b"").decode("latin-1"))
        if host not in self._access.names and not _is_address(host):
            raise _RefusedError(
                421, f"host {host[:80]!r} is not this server; start it with --allow-host"
            )
        expected = f"Bearer {self._access.token}".encode()
        if is_page:
            pass  # the chat page holds nothing of the model; it asks its reader for the token
        elif not self._access.token:
            self._check_origin(headers)
        elif not hmac.compare_digest(headers.get("authorization", b""), expected):
            raise _RefusedError(
                401, f"no valid token; send it as Authorization: Bearer, or set {TOKEN_VARIABLE}"
            )
        length = headers.get("content-length", b"0")
        if not length.isdigit() or int(length) > self._most:
            raise _RefusedError(413, self._too_large)

    @staticmethod
    def _check_origin(headers: dict[str, bytes]) -> None:
        """Refuse what a page of another origin asks: a browser says where a request comes from."""
        origin = headers.get("origin", b"").decode("latin-1")
        if origin and origin.partition("://")[2] != headers.get("host", b"").decode("latin-1"):
            raise _RefusedError(403, f"origin {origin[:80]!r} is another page; open this server's")


def _name_in(host: str) -> str:
    """Return the name or address of a Host header, without its port."""
    if host.startswith("["):
        return host[1:].partition("]")[0].lower()
    return host.partition(":")[0].lower()


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


async def _answer(send: Send, status: int, message: str) -> None:
    body = json.dumps({"error": {"type": "RefusedError", "message": message}}).encode()
    headers = [(b"content-type", b"application/json"), (b"connection", b"close")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
