"""``/v1/projections``: where a conversation's answers lie on the axis and the trait vectors."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from pydantic import Field

from personae.api.requests import RenderRequest, RenderRow
from personae.api.wire_encoding import Wire
from personae.inference.engine_errors import RequestError
from personae.inference.server.chat_requests import ChatMessage, engine_message
from personae.inference.server.device_queue import DeviceTicket
from personae.inference.server.text_route import TextRoute
from personae.inference.server.warm_up import WarmServer
from personae.inference.turn_projections import Direction, activations_request, turn_projections

routes = APIRouter(prefix="/v1", route_class=TextRoute)


class ProjectionsRequest(Wire):
    """A conversation whose assistant turns are projected."""

    messages: list[ChatMessage] = Field(min_length=1)
    per_token: bool = False


@routes.post("/projections")
async def projections(
    body: ProjectionsRequest, request: Request, warm: WarmServer
) -> dict[str, Any]:
    """Project every assistant turn, read by the plain model, on the study's directions."""
    readings = warm.presets.readings
    if not readings:
        raise RequestError("this server has no directions; start it with a study")
    engine = warm.loading.engine
    directions = {name: Direction(each.layer, each.unit) for name, each in readings.items()}
    row = RenderRow(
        id="chat", messages=[engine_message(one) for one in body.messages], pieces=body.per_token
    )

    def work(ticket: DeviceTicket) -> list[dict[str, Any]]:
        (chat,) = engine.render(RenderRequest(rows=[row]))
        if not chat.turns:
            raise RequestError("the conversation has no assistant turn; nothing to project")
        wanted = activations_request(chat, directions, per_token=body.per_token)
        found = engine.activations(wanted, lambda *_: ticket.check())
        means = ((one.span, one.vectors) for one in found)
        return [turn._asdict() for turn in turn_projections(chat, means, directions)]

    turns = await warm.device.run(request, work)
    about = {name: {"layer": r.layer, "threshold": r.threshold} for name, r in readings.items()}
    return {"directions": about, "turns": turns}
