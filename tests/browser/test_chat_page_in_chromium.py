"""The chat page in a real browser: its switch says what the server does, and projections show."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import StreamingResponse

from personae.inference.server import chat_page

from .driver import Browser

NAMES = ("m", "m+plain", "m+cap2-3p25", "m+poetic@4x1")


class Stub:
    """A server whose answers name the model that was asked for.

    Parameters
    ----------
    default
        Settings of its plain name.
    """

    def __init__(self, default: str) -> None:
        app = FastAPI()
        app.include_router(chat_page.routes)
        app.get("/v1/models")(lambda: {"data": [{"id": n, "default": default} for n in NAMES]})
        app.post("/v1/chat/completions")(self._answer)
        app.post("/v1/projections")(self._project)
        settings = uvicorn.Config(app, port=0, log_level="error")
        self._server = uvicorn.Server(settings)
        self._thread = threading.Thread(target=self._server.run, daemon=True)

    def __enter__(self) -> str:
        self._thread.start()
        while not self._server.started:
            time.sleep(0.02)
        port = self._server.servers[0].sockets[0].getsockname()[1]
        return f"http://127.0.0.1:{port}/"

    def __exit__(self, *_: object) -> None:
        self._server.should_exit = True
        self._thread.join()

    async def _answer(self, request: Request) -> StreamingResponse:
        name = (await request.json())["model"]

        def stream() -> Iterator[str]:
            yield f'data: {{"choices": [{{"delta": {{"content": "I am {name}"}}}}]}}\n\n'
            yield "data: [DONE]\n\n"

        return StreamingResponse(stream(), media_type="text/event-stream")

    async def _project(self) -> dict[str, Any]:
        return {
            "directions": {"axis": {"layer": 5, "threshold": 3.0}},
            "turns": [{"mean": {"axis": 2.0}}],
        }


def by_id(name: str) -> str:
    return f"document.getElementById('{name}')"


def asked(chromium: Browser, number: int) -> str:
    """Send a message, wait for answer ``number`` and its projection, and return its text."""
    chromium.run(f"{by_id('text')}.value = 'Hello'; {by_id('send')}.click()")
    script = f"return document.querySelectorAll('.assistant')[{number}]?.innerText ?? ''"
    for _ in range(100):
        if "axis" in (said := str(chromium.run(script))):
            return said
        time.sleep(0.05)
    error = chromium.run(f"return {by_id('error')}.textContent")
    pytest.fail(f"no answer: {error}")


@pytest.mark.parametrize(("default", "capped"), [("cap2-3p25", True), ("", False)])
def test_the_switch_shows_and_changes_the_cap(
    chromium: Browser, default: str, *, capped: bool
) -> None:
    with Stub(default) as url:
        chromium.open(url)
        for _ in range(100):
            if chromium.run(f"return {by_id('model')}.options.length") == 2:
                break
            time.sleep(0.05)
        assert chromium.run(f"return {by_id('cap')}.checked") is capped
        names = {True: "I am m+cap2-3p25", False: "I am m+plain"}
        assert names[capped] in (said := asked(chromium, 0))
        assert "axis 2.0 (layer 5, floor 3.0, below it)" in said
        chromium.run(f"{by_id('cap')}.click()")
        assert names[not capped] in asked(chromium, 1)
        chromium.run(f"{by_id('model')}.selectedIndex = 1; {by_id('cap')}.checked = true")
        assert "I am m+poetic@4x1+cap2-3p25" in asked(chromium, 2)
        # A page without an icon is asked for one; all else would be an error of the page.
        errors = [e["message"] for e in chromium.log("browser") if e["level"] == "SEVERE"]
        assert [line for line in errors if "favicon" not in line] == []
