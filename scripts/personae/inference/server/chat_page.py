"""The chat page: ``GET /``, one file without outside parts."""

from __future__ import annotations

import base64
import hashlib
import re
from pathlib import Path
from typing import Final

from fastapi import APIRouter
from fastapi.responses import HTMLResponse

PATH: Final = "/"
_PAGE: Final = Path(__file__).with_name("chat_page.html")

routes = APIRouter()


@routes.get(PATH, include_in_schema=False)
async def chat_page() -> HTMLResponse:
    """Return the page; its policy lets only its own script and style run."""
    text = _PAGE.read_text("utf-8")
    headers = {"content-security-policy": policy(text), "referrer-policy": "no-referrer"}
    return HTMLResponse(text, headers=headers)


def policy(page: str) -> str:
    """Return the content-security policy of a page with one inline script and one inline style."""
    sources = []
    for tag in ("script", "style"):
        found = re.search(rf"<{tag}>(.*?)</{tag}>", page, re.DOTALL)
        assert found, f"the page has a {tag}"
        digest = base64.b64encode(hashlib.sha256(found[1].encode()).digest()).decode()
        sources.append(f"{tag}-src 'sha256-{digest}'")
    rest = "connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'"
    return f"default-src 'none'; {'; '.join(sources)}; {rest}; frame-ancestors 'none'"
