"""Replies of the app to bad requests, failures, and requests before the model is loaded."""

from __future__ import annotations

import pytest
from fastapi.testclient import TestClient

from personae.api.requests import EngineSpec
from personae.inference.server.app import create_app
from personae.inference.server.device_queue import Device
from personae.inference.server.load_state import Loading

from .stand_in import StandIn

HELLO = [{"role": "user", "content": "hello"}]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"rows": [{"id": "a", "messages": HELLO}]}, "rows[0].seed: Field required"),
        (
            {"rows": [{"id": "a", "seed": -1}], "colour": 1},
            "rows[0].seed: Input should be greater than or equal to 0 (and 1 more)",
        ),
        ({"rows": [], "colour": 1}, "colour: Extra inputs are not permitted"),
    ],
)
def test_a_malformed_request_is_one_line(
    http: TestClient, body: dict[str, object], message: str
) -> None:
    reply = http.post("/generate", json=body)
    assert reply.status_code == 422
    assert reply.json()["error"] == {"type": "ValidationError", "message": message}


def test_an_unforeseen_error_has_status_500(http: TestClient) -> None:
    row = {"id": "a", "messages": [{"role": "user", "content": "break"}], "seed": 1}
    reply = http.post("/generate", json={"rows": [row]})
    assert reply.status_code == 500
    assert reply.json()["error"] == {"type": "RuntimeError", "message": "the engine broke"}


def test_requests_before_the_load_are_refused() -> None:
    app = create_app(Loading(lambda report: StandIn(EngineSpec(model="x"))), Device())
    # Not entered as a context, so that the load never begins.
    reply = TestClient(app).get("/info")
    assert reply.status_code == 503
    assert reply.json()["error"]["message"] == "loading: starting"
