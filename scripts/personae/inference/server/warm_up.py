"""The engine and its device, shared by the routes of both interfaces."""

from __future__ import annotations

from typing import Annotated, NamedTuple

from fastapi import Depends, Request

from personae.inference.server.device_queue import Device
from personae.inference.server.load_state import Loading


class WarmEngine(NamedTuple):
    """The engine of this server, the thread that runs it, and its name in the model table."""

    loading: Loading
    device: Device
    name: str = ""


def _of_app(request: Request) -> WarmEngine:
    warm: WarmEngine = request.app.state.warm
    return warm


WarmServer = Annotated[WarmEngine, Depends(_of_app)]
