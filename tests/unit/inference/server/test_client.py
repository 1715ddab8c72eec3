"""The client's results, messages and errors."""

from __future__ import annotations

import http.server
import logging
import os
import socket
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from personae.api.arrow_stream import GENERATED
from personae.api.requests import (
    ActivationRow,
    GenerateRow,
    Intervention,
    LikelihoodRow,
    Message,
    RenderRow,
    Sampling,
    Span,
)
from personae.data.vector_columns import to_matrix
from personae.inference.client import EngineClient, EngineError, connect, session
from personae.inference.client.server_environment import TOKEN_VARIABLE

from .harness import HERE, Servers, say, wait_until

HELLO = [Message(role="user", content="hello")]


def activation_row(row_id: str, n_tokens: int) -> ActivationRow:
    spans = [Span(name="one", start=0, end=1), Span(name="all", start=0, end=n_tokens)]
    return ActivationRow(id=row_id, token_ids=[1] * n_tokens, n_prompt=1, spans=spans)


def test_generate(servers: Servers) -> None:
    rows = [GenerateRow(id=row_id, messages=HELLO, seed=2**62) for row_id in "ba"]
    table = servers.connect().generate(rows, Sampling())
    assert table.schema == GENERATED
    assert table["id"].to_pylist() == ["b", "a"]
    assert table["seed"].to_pylist() == [2**62] * 2
    assert table["prompt_ids"].to_pylist() == [[1, 2, 3]] * 2


def test_generate_nothing(servers: Servers) -> None:
    assert servers.connect().generate([], Sampling()).num_rows == 0


def test_activations_come_in_the_order_of_rows_spans_and_layers(servers: Servers) -> None:
    rows = [activation_row("short", 2), activation_row("long", 9)]
    table = servers.connect().activations(rows, layers=[0, 2])
    keys = list(zip(*(table[name].to_pylist() for name in ("id", "span", "layer")), strict=True))
    assert keys == [
        (row_id, span, layer)
        for row_id in ("short", "long")
        for span in ("one", "all")
        for layer in (0, 2)
    ]
    assert table["n_tokens"].to_pylist() == [1, 1, 2, 2, 1, 1, 9, 9]
    np.testing.assert_array_equal(to_matrix(table["vector"])[:2], [[0.0] * 4, [2.0] * 4])


def test_likelihood_render_and_embed(servers: Servers) -> None:
    client = servers.connect()
    (result,) = client.loglikelihood([LikelihoodRow(id="x", messages=HELLO, continuation="y")])
    assert (result.sum_logprob, result.n_tokens) == (-1.5, 3)
    answered = [*HELLO, Message(role="assistant", content="hi")]
    (chat,) = client.render([RenderRow(id="x", messages=answered)])
    assert chat.turns == [Span(name="turn0", start=1, end=2)]
    embedded = client.embed(["a", "bcd"])
    assert embedded.dtype == np.float32
    np.testing.assert_array_equal(embedded, [[1, 1], [3, 1]])
    assert client.embed([]).shape == (0, 2)


def test_vectors_travel_exactly(servers: Servers) -> None:
    vector = np.float32([0.1, -3e30, 0, 1])
    add = Intervention(op="add", layer=0, vector="v")
    rows = [GenerateRow(id="x", messages=HELLO, seed=0, interventions=[add])]
    assert servers.connect().generate(rows, Sampling(), {"v": vector}).num_rows == 1


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("refuse", "/generate: RequestError: layer 7 of 3"),
        ("break", "/generate: RuntimeError: the engine broke"),
    ],
)
@pytest.mark.parametrize("before", ["hello", "sleep 0.8"])
def test_an_error_at_once_or_half_way_is_one_line_and_the_server_goes_on(
    servers: Servers, command: str, message: str, before: str
) -> None:
    client = servers.connect()
    with pytest.raises(EngineError) as caught:
        say(client, before, command)
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)
    assert say(client, "hello") == ["hello"]
    assert len(servers.loads()) == 1


def test_requests_take_turns(servers: Servers) -> None:
    client = servers.connect()
    done: list[str] = []
    first = threading.Thread(target=lambda: done.extend(say(client, "sleep 1")))
    first.start()
    time.sleep(0.3)
    # Long enough for the first thread to have noted its reply when this one comes.
    done.extend(say(client, "sleep 0.4"))
    first.join()
    assert done == ["sleep 1", "sleep 0.4"]


def test_load_and_long_requests_are_told(
    servers: Servers, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(session, "_SAY_EVERY", 0.3)
    caplog.set_level(logging.INFO)
    with connect(servers.spec("slow"), logging.getLogger("node")) as client:
        say(client, "hello", "sleep 1.5", "hello")
    logged = "\n".join(caplog.messages)
    assert "started for" in logged
    assert "slow: loading" in logged
    assert "slow: ready after" in logged
    assert "/generate: 0 of 1 (" in logged


class Remote:
    """A server on a port, as another user would run it."""

    def __init__(self, servers: Servers) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        spec = servers.spec("remote", idle_seconds=0.2).model_dump_json()
        command = [sys.executable, "-m", "stand_in_server", "--spec", spec, "--port", str(port)]
        scripts = f"{HERE.parents[3] / 'scripts'}:{HERE}"
        environment = {"PYTHONPATH": scripts, TOKEN_VARIABLE: os.environ[TOKEN_VARIABLE]}
        self.process = subprocess.Popen(command, env=environment)

        def is_up() -> bool:
            with socket.socket() as probe:
                return probe.connect_ex(("127.0.0.1", port)) == 0

        assert wait_until(is_up, 20)

    def connect(self, servers: Servers, name: str = "model") -> EngineClient:
        return servers.connect(name, url=self.url)

    def __enter__(self) -> Remote:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        assert self.process.wait(10) == 0


def test_a_url_is_used_and_no_server_started(servers: Servers) -> None:
    with Remote(servers) as remote:
        client = remote.connect(servers)
        time.sleep(1.5)
        assert client.info().pid == remote.process.pid, "a server on a port does not end when idle"
        assert servers.sockets() == []
        assert servers.loads() == []
    with pytest.raises(EngineError, match=f"model server at {remote.url} cannot be reached"):
        client.info()


def test_a_url_that_serves_other_weights_is_refused(servers: Servers) -> None:
    folder = servers.folder / "model"
    folder.mkdir()
    (folder / "manifest.json").write_text(
        '{"name": "m", "kind": "chat", "source": "folder", "id": "x", "revision": "",'
        ' "license": "", "model_type": "llama", "n_layers": 3, "hidden_size": 4,'
        ' "weights_digest": "def", "sizes": {}, "digests": {}}'
    )
    with Remote(servers) as remote, pytest.raises(EngineError, match=r"weights abc, but .* def"):
        remote.connect(servers)


def test_a_url_of_something_else_is_refused(servers: Servers) -> None:
    handler = http.server.SimpleHTTPRequestHandler
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as other:
        threading.Thread(target=other.serve_forever, daemon=True).start()
        with pytest.raises(EngineError, match="status 404; is this a personae model server"):
            servers.connect(url=f"http://127.0.0.1:{other.server_port}")
        other.shutdown()


def test_the_client_imports_no_torch() -> None:
    code = (
        "import sys, personae.inference.client, personae.api.arrow_stream, httpx;"
        "import personae.inference.weights_manifest;"
        "print([m for m in ('torch', 'transformers', 'pandas', 'fastapi') if m in sys.modules])"
    )
    scripts = {"PYTHONPATH": str(HERE.parents[3] / "scripts")}
    out = subprocess.run([sys.executable, "-c", code], env=scripts, capture_output=True, text=True)
    assert out.stdout.strip() == "[]", out.stderr
