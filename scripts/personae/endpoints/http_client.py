"""Sends one request to an endpoint and reads the reply."""

from __future__ import annotations

import asyncio
import json
from typing import Self

import httpx

from personae.endpoints.chat_answer import ChatAnswer, read_answer
from personae.endpoints.chat_request import Body
from personae.endpoints.endpoint_errors import (
    TransientError,
    classify,
    of_connection,
    status_within,
)
from personae.endpoints.endpoint_settings import Endpoint


class ChatClient:
    """An asynchronous context manager that keeps its connections open."""

    def __init__(self, endpoint: Endpoint, key: str | None) -> None:
        self._timeout = endpoint.timeout
        self._url = f"{endpoint.base_url.rstrip('/')}/chat/completions"
        self._http = httpx.AsyncClient(
            headers={
                "Authorization": f"Bearer {key or 'none'}",
                "Content-Type": "application/json",
            },
            timeout=None,
            follow_redirects=True,
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=None),
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.aclose()

    def prepare(self, body: Body) -> httpx.Request:
        """Return the request for `send`."""
        headers = {"Content-Type": "application/json"}
        return self._http.build_request(
            "POST", self._url, content=json.dumps(body), headers=headers
        )

    async def send(self, request: httpx.Request, body: Body) -> ChatAnswer:
        """Return the answer.

        Raises
        ------
        EndpointError
            By what should follow.
        """
        try:
            async with asyncio.timeout(self._timeout):
                reply = await self._http.send(request)
        except TimeoutError:
            raise TransientError(f"no answer in {self._timeout:g} s", billed=True) from None
        except (httpx.HTTPError, OSError) as error:
            raise of_connection(error) from None
        status = status_within(reply.content) if reply.is_success else reply.status_code
        if status is not None:
            raise classify(status, reply.text, reply.headers, body)
        return read_answer(reply.content)
