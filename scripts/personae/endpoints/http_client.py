"""Sends one request to an endpoint and reads the reply."""

from __future__ import annotations

import asyncio
from typing import Any, Final, Self

import openai

from personae.endpoints.chat_answer import ChatAnswer, read_answer
from personae.endpoints.chat_request import Body
from personae.endpoints.endpoint_errors import (
    TransientError,
    classify,
    of_connection,
    status_within,
)
from personae.endpoints.endpoint_settings import Endpoint

# The reply is parsed here, since the client's own models refuse what some providers send.
_RAW: Final[Any] = {"headers": {"X-Stainless-Raw-Response": "true"}}


class ChatClient:
    """An asynchronous context manager that keeps its connections open."""

    def __init__(self, endpoint: Endpoint, key: str | None) -> None:
        self._timeout = endpoint.timeout
        # This package handles retries and time limits, which depend on the meaning of a refusal.
        self._client = openai.AsyncOpenAI(
            base_url=endpoint.base_url, api_key=key or "none", timeout=None, max_retries=0
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._client.close()

    async def send(self, body: Body) -> ChatAnswer:
        """Return the answer.

        Raises
        ------
        EndpointError
            The subclass says how to proceed.
        """
        try:
            async with asyncio.timeout(self._timeout):
                # The body is sent unchanged, since it is part of the key of the answer.
                raw: Any = await self._client.post(
                    "/chat/completions", cast_to=object, body=dict(body), options=_RAW
                )
            reply = raw.http_response
        except TimeoutError:
            raise TransientError(f"no answer in {self._timeout:g} s", billed=True) from None
        except openai.APIStatusError as error:
            reply = error.response
        except openai.APIConnectionError as error:
            raise of_connection(error) from None
        status = status_within(reply.content) if reply.is_success else reply.status_code
        if status is not None:
            raise classify(status, reply.text, reply.headers, body)
        return read_answer(reply.content)
