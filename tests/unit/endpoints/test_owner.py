"""A node whose workflow has ended asks for nothing more, and keeps what it has paid for."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

import pytest

from personae.base.errors import PersonaeError
from personae.base.process_identity import ProcessIdentity
from personae.base.workflow_owner import VARIABLE
from personae.endpoints.runtime import Runtime

from .asking import ask, texts
from .misbehaving import Endpoint, Reply, completion


def test_a_node_stops_asking_when_its_workflow_is_killed(
    serve: Callable[..., Endpoint],
    runtime: Callable[..., Runtime],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("personae.endpoints.request_batch._CHECK_SECONDS", 0.05)
    workflow = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    identity = ProcessIdentity.of(workflow.pid)
    monkeypatch.setenv(VARIABLE, str(identity))

    def behave(body: dict[str, object], before: int) -> Reply:
        if len(endpoint.times) == 8:
            workflow.kill()
            workflow.wait()
        return Reply(200, completion("fine").body, delay=0.1)

    endpoint = serve(behave)
    run = runtime(endpoint.url, concurrency=2)
    prompts = [f"p{i}" for i in range(200)]
    with pytest.raises(PersonaeError, match="has ended"):
        ask(run, prompts)
    assert 8 <= endpoint.asked.total() < 40
    monkeypatch.delenv(VARIABLE)
    asked = endpoint.asked.total()
    assert texts(ask(run, prompts[:asked])) == ["fine"] * asked
    assert set(endpoint.asked.values()) == {1}
