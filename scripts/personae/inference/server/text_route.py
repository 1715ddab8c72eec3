"""Routes whose bodies hold text that can be sent on: JSON can write half a character, UTF-8 not."""

from __future__ import annotations

import json
from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import HTTPException, Request, Response
from fastapi.routing import APIRoute


class _TextRequest(Request):
    """A request whose JSON is refused if a text in it has a lone surrogate."""

    async def json(self) -> Any:
        """Return the body's content."""
        content = await super().json()
        body = await self.body()
        # A surrogate is written as an escape, or as bytes that begin so.
        if b"\\ud" in body or b"\\uD" in body or b"\xed" in body:
            try:
                json.dumps(content, ensure_ascii=False).encode()
            except UnicodeEncodeError:
                message = "a text holds a lone surrogate (half of a character); remove it"
                raise HTTPException(400, message) from None
        return content


class TextRoute(APIRoute):
    """A route of such requests."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return what handles a request."""
        handle = super().get_route_handler()

        async def handle_text(request: Request) -> Response:
            return await handle(_TextRequest(request.scope, request.receive))

        return handle_text
