"""A server on a port: token, Host header, size of bodies; and the environment of a child."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI, Request
from fastapi.testclient import TestClient

from personae.base.errors import PersonaeError
from personae.inference.client.channel import Channel
from personae.inference.client.server_environment import TOKEN_VARIABLE, server_environment
from personae.inference.engine_errors import EngineError
from personae.inference.server import chat_page
from personae.inference.server.access import MOST_BYTES, AccessGuard, AccessRules, access_of

from .harness import HERE, Servers, say

TOKEN = {"authorization": "Bearer secret"}


@pytest.fixture
def guarded() -> TestClient:
    """An app that counts the bytes of a body, behind a guard that lets 100 of them pass."""
    app = FastAPI()

    @app.post("/")
    async def count(request: Request) -> int:
        return len(await request.body())

    app.add_middleware(
        AccessGuard, access=AccessRules("secret", frozenset({"mine"})), most_bytes=100
    )
    return TestClient(app, base_url="http://mine:80")


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        (TOKEN, 200),
        ({}, 401),
        ({"authorization": "Bearer wrong"}, 401),
        ({"authorization": "secret"}, 401),
        ({**TOKEN, "host": "MINE:8000"}, 200),
        ({**TOKEN, "host": "127.0.0.1:8000"}, 200),
        ({**TOKEN, "host": "[::1]:8000"}, 200),
        ({**TOKEN, "host": "evil.example"}, 421),
        ({**TOKEN, "host": ""}, 421),
        ({**TOKEN, "content-length": "101"}, 413),
        ({**TOKEN, "content-length": "many"}, 413),
    ],
)
def test_who_may_pass(guarded: TestClient, headers: dict[str, str], status: int) -> None:
    reply = guarded.post("/", content=b"", headers=headers)
    assert reply.status_code == status
    if status != 200:
        assert set(reply.json()["error"]) == {"type", "message"}
        assert "secret" not in reply.text


def test_a_body_that_grows_too_large_is_cut_off(guarded: TestClient) -> None:
    def parts(count: int) -> Iterator[bytes]:
        yield from [b"x" * 10] * count

    assert guarded.post("/", content=parts(10), headers=TOKEN).json() == 100
    assert guarded.post("/", content=parts(11), headers=TOKEN).status_code == 413


def test_the_token_is_that_of_the_environment_or_a_new_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(TOKEN_VARIABLE, "given")
    assert access_of("0.0.0.0", ["name.lan"])[0].token == "given"
    assert {"localhost", "name.lan"} <= access_of("0.0.0.0", ["Name.lan"])[0].names
    monkeypatch.delenv(TOKEN_VARIABLE)
    (first, is_new), (second, _) = access_of("h", []), access_of("h", [])
    assert is_new
    assert len(first.token) >= 32
    assert first.token != second.token


def test_a_server_on_a_port_answers_only_with_its_token(
    servers: Servers, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    scripts = os.environ["PYTHONPATH"]
    spec = servers.spec("model")
    monkeypatch.delenv(TOKEN_VARIABLE)
    environment = {**os.environ, "PYTHONPATH": f"{HERE.parents[3] / 'scripts'}:{HERE}:{scripts}"}
    command = [sys.executable, "-m", "stand_in_server", "--port", str(port)]
    process = subprocess.Popen(
        [*command, "--spec", spec.model_dump_json()],
        env=environment, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert process.stderr is not None
        found = re.fullmatch(r"token: (\S+)\n", process.stderr.readline())
        assert found
        remote = servers.spec("model", url=f"http://127.0.0.1:{port}")
        for _ in range(100):
            try:
                reply = httpx.get(f"http://127.0.0.1:{port}/health")
                break
            except httpx.ConnectError:
                pass
        assert reply.status_code == 401
        with pytest.raises(EngineError, match="no valid token"):
            Channel(remote, servers.log.append)
        monkeypatch.setenv(TOKEN_VARIABLE, found[1])
        assert say(servers.connect(url=remote.url), "hello") == ["hello"]
        token = f"Authorization: Bearer {found[1]}"
        surrogate = b'{"model": "model", "messages": [{"role": "user", "content": "\\ud800"}]}'
        assert status(port, "Host: evil.example", token) == 421
        assert status(port, "Host: localhost", token, f"Content-Length: {MOST_BYTES + 1}") == 413
        assert status(port, "Host: localhost", token, body=surrogate) == 400
        assert say(servers.connect(url=remote.url), "well") == ["well"]
    finally:
        process.kill()
        said = process.communicate()[1]
    assert "Traceback" not in said
    assert found[1] not in said


def status(port: int, *headers: str, body: bytes = b"") -> int:
    """Send a chat request byte by byte, as no client library would, and return the status."""
    length = (
        () if any("Content-Length" in h for h in headers) else (f"Content-Length: {len(body)}",)
    )
    lines = ["POST /v1/chat/completions HTTP/1.1", *headers, *length,
             "Content-Type: application/json"]  # fmt: skip
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall("\r\n".join([*lines, "", ""]).encode() + body)
        return int(connection.recv(100).split()[1])


def test_a_server_that_a_node_starts_holds_no_key(
    servers: Servers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "planted-key")
    assert say(servers.connect(), "hello") == ["hello"]
    (pid,) = servers.loads()
    environment = Path(f"/proc/{pid}/environ").read_bytes()
    assert b"PATH=" in environment
    assert b"planted-key" not in environment


def test_a_server_inherits_no_secret() -> None:
    given = {
        "PATH": "/bin", "HOME": "/h", "CUDA_VISIBLE_DEVICES": "1", "HF_HOME": "/hf",
        "TOKENIZERS_PARALLELISM": "false", "PERSONAE_OWNER": "o", "LC_ALL": "C",
    }  # fmt: skip
    secret = {
        "OPENAI_API_KEY": "k", "HF_TOKEN": "k", "SLURM_JWT": "k", "AWS_SECRET_ACCESS_KEY": "k",
        "PERSONAE_SERVER_TOKEN": "k", "OPENROUTER_API_KEY": "k", "DATABASE_URL": "k",
        "HF_API_KEY": "k", "OMP_NUM_THREADS": "1",
    }  # fmt: skip
    kept = server_environment(given | secret)
    assert kept.items() >= given.items()
    assert not set(secret) & set(kept)
    assert "k" not in kept.values()


OPEN = {"host": "127.0.0.1:8000"}


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        (OPEN, 200),
        ({**OPEN, "origin": "http://127.0.0.1:8000"}, 200),
        ({**OPEN, "origin": "http://127.0.0.1:9000"}, 403),
        ({**OPEN, "origin": "https://evil.example"}, 403),
        ({**OPEN, "origin": "null"}, 403),
        ({"host": "evil.example"}, 421),
    ],
)
def test_an_open_server_answers_no_page_of_another_origin(
    headers: dict[str, str], status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(TOKEN_VARIABLE, raising=False)
    app = FastAPI()
    app.add_api_route("/v1", lambda: "answer")
    access, is_new = access_of("127.0.0.1", [], is_open=True)
    assert (access.token, is_new) == ("", False)
    app.add_middleware(AccessGuard, access=access)
    assert TestClient(app).get("/v1", headers=headers).status_code == status


def test_only_this_machine_may_go_without_a_token() -> None:
    for host in ("0.0.0.0", "192.168.1.2", "name.lan"):
        with pytest.raises(PersonaeError, match="without a token, use 127"):
            access_of(host, [], is_open=True)


def test_the_chat_page_needs_no_token_and_allows_only_itself(http: TestClient) -> None:
    reply = http.get("/")
    assert reply.status_code == 200
    policy = reply.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    assert "unsafe" not in policy
    assert "http" not in reply.text.replace('<html lang="en">', "")
    guarded = FastAPI()
    guarded.include_router(chat_page.routes)
    guarded.add_middleware(AccessGuard, access=AccessRules("secret", frozenset({"mine"})))
    client = TestClient(guarded, base_url="http://mine:80")
    assert client.get("/").status_code == 200
    assert client.get("/v1/models").status_code == 401


def test_threads_of_a_server_sleep_while_they_wait_unless_the_user_says_otherwise() -> None:
    assert server_environment({})["OMP_WAIT_POLICY"] == "PASSIVE"
    assert server_environment({"OMP_WAIT_POLICY": "ACTIVE"})["OMP_WAIT_POLICY"] == "ACTIVE"
    chosen = server_environment({"GOMP_SPINCOUNT": "1000"})
    assert chosen["GOMP_SPINCOUNT"] == "1000"
    assert "OMP_WAIT_POLICY" not in chosen
