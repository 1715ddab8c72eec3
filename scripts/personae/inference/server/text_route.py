"""Routes that reject lone surrogates in JSON bodies, since UTF-8 cannot encode them."""

from __future__ import annotations

import json
from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import HTTPException, Request, Response
from fastapi.routing import APIRoute


class _TextRequest(Request):
    """A request whose JSON is rejected if a text in it has a lone surrogate."""

    async def json(self) -> Any:
        """Return the content of the body."""
        content = await super().json()
        body = await self.body()
        # A surrogate is written as an escape, or as bytes that start with ED.
        if b"\\ud" in body or b"\\uD" in body or b"\xed" in body:
            try:
                json.dumps(content, ensure_ascii=False).encode()
            except UnicodeEncodeError:
                message = "a text holds a lone surrogate (half of a character); remove it"
                raise HTTPException(400, message) from None
        return content


class TextRoute(APIRoute):
    """A route that rejects bodies with lone surrogates."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return the handler of a request."""
        handle = super().get_route_handler()

        async def handle_text(request: Request) -> Response:
            return await handle(_TextRequest(request.scope, request.receive))

        return handle_text
