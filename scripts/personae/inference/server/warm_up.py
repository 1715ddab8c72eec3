"""The engine and its device, shared by the routes of both interfaces."""

from __future__ import annotations

from typing import Annotated, NamedTuple

from fastapi import Depends, Request

from personae.inference.server.device_queue import Device
from personae.inference.server.load_state import Loading
from personae.inference.server.presets import Presets


class WarmEngine(NamedTuple):
    """The one engine of this server, its thread, its name in the table, and its presets."""

    loading: Loading
    device: Device
    name: str = ""
    presets: Presets = Presets()


def _of_app(request: Request) -> WarmEngine:
    warm: WarmEngine = request.app.state.warm
    return warm


WarmServer = Annotated[WarmEngine, Depends(_of_app)]
