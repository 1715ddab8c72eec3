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

# The reply is read here, by meaning: the client's own models would refuse what some providers send.
_RAW: Final[Any] = {"headers": {"X-Stainless-Raw-Response": "true"}}


class ChatClient:
    """An asynchronous context manager that keeps its connections open."""

    def __init__(self, endpoint: Endpoint, key: str | None) -> None:
        self._timeout = endpoint.timeout
        # Retries and time limits are this package's own: they depend on what a refusal means.
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
            By what should follow.
        """
        try:
            async with asyncio.timeout(self._timeout):
                # The body is sent as it is, since the answer is stored under it.
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
