"""Server processes of a test live in its own folder and end with it."""

from __future__ import annotations

import os
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from personae.api.requests import EngineSpec
from personae.base.process_identity import ProcessIdentity
from personae.base.workflow_owner import VARIABLE
from personae.inference.client import launch
from personae.inference.client.server_environment import TOKEN_VARIABLE
from personae.inference.server.app import create_app
from personae.inference.server.device_queue import Device
from personae.inference.server.load_state import Loading

from .harness import HERE, Servers
from .stand_in import StandIn


@pytest.fixture
def servers(monkeypatch: pytest.MonkeyPatch) -> Iterator[Servers]:
    """Start stand-in servers, unowned, in a folder short enough for sockets."""
    with tempfile.TemporaryDirectory(prefix="ps-") as name:
        folder = Path(name)
        monkeypatch.setenv("PERSONAE_SOCKET_DIR", name)
        monkeypatch.setenv("PYTHONPATH", str(HERE))
        monkeypatch.setenv(TOKEN_VARIABLE, "of this test")
        monkeypatch.delenv(VARIABLE, raising=False)
        monkeypatch.setattr(launch, "SERVER_MODULE", "stand_in_server")
        yield Servers(folder)
        for path in folder.glob("*.loads"):
            for pid in path.read_text().split():
                if ProcessIdentity.of(int(pid)):
                    os.kill(int(pid), signal.SIGKILL)


@pytest.fixture(scope="module")
def http(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """The app in this process, with the stand-in engine loaded."""
    spec = EngineSpec(model=str(tmp_path_factory.mktemp("models") / "model"))
    app = create_app(Loading(lambda report: StandIn(spec)), Device())
    with TestClient(app, raise_server_exceptions=False) as client:
        while client.get("/health").json()["state"] != "ready":
            pass
        yield client
