"""What the routes of both faces share: the loading engine and its device."""

from __future__ import annotations

from typing import Annotated, NamedTuple

from fastapi import Depends, Request

from personae.inference.server.device_queue import Device
from personae.inference.server.load_state import Loading


class WarmEngine(NamedTuple):
    """The one engine of this server, the thread in which it runs, and its name in the table."""

    loading: Loading
    device: Device
    name: str = ""


def _of_app(request: Request) -> WarmEngine:
    warm: WarmEngine = request.app.state.warm
    return warm


WarmServer = Annotated[WarmEngine, Depends(_of_app)]
