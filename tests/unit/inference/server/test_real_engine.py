"""The real engine behind the real server: replies equal the engine's own results."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from personae.api.requests import (
    ActivationRow,
    ActivationsRequest,
    EngineSpec,
    GenerateRow,
    Intervention,
    LikelihoodRow,
    Message,
    RenderRow,
    Sampling,
    Span,
)
from personae.data.vector_columns import to_matrix
from personae.endpoints.runtime import Runtime
from personae.inference.client import EngineClient, EngineError, connect, launch
from personae.inference.torch_engine.engine import Engine
from personae.personas.library import AuditorPrompt
from personae.rollouts.conversation import play
from personae.rollouts.simulation import Auditor, SimulatedConversation
from tests.unit.endpoints.conftest import _fast_and_with_key, runtime, serve
from tests.unit.endpoints.misbehaving import Endpoint, completion
from tests.unit.inference.engine.families import prepare_tiny

from .harness import Servers, is_gone, wait_until

__all__ = ["_fast_and_with_key", "runtime", "serve"]

SAMPLING = Sampling(max_new_tokens=8)
TALK = [Message(role="user", content="hello")]
VECTORS = {"v": np.ones(32)}


def rows(**options: object) -> list[GenerateRow]:
    return [
        GenerateRow.model_validate({"id": f"row{i}", "messages": TALK, "seed": i, **options})
        for i in range(3)
    ]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a tiny prepared model with random weights."""
    return prepare_tiny(tmp_path_factory.mktemp("prepared"))


@pytest.fixture
def spec(model: Path) -> EngineSpec:
    return EngineSpec(model=str(model), dtype="float32", threads=1, start_timeout=120)


@pytest.fixture
def client(
    servers: Servers, spec: EngineSpec, monkeypatch: pytest.MonkeyPatch
) -> Iterator[EngineClient]:
    monkeypatch.setattr(launch, "SERVER_MODULE", "personae.inference.server")
    with connect(spec, servers.log.append) as client:
        pid = client.info().pid
        yield client
        os.kill(pid, signal.SIGTERM)
    assert wait_until(lambda: is_gone(pid), 10)
    assert servers.sockets() == []


def test_the_server_returns_what_the_engine_returns(client: EngineClient, spec: EngineSpec) -> None:
    engine = Engine(spec)
    steer = [Intervention(op="add", layer=1, vector="v", coefficient=0.5)]
    generated = client.generate(rows(interventions=steer), SAMPLING, VECTORS)
    assert generated.equals(client.generate(rows(interventions=steer), SAMPLING, VECTORS))
    assert min(generated["fired"].to_pylist()) > 0

    wanted = [
        ActivationRow(
            id=row["id"],
            token_ids=[*row["prompt_ids"], *row["response_ids"]],
            n_prompt=len(row["prompt_ids"]),
            spans=[Span(name="prompt", start=0, end=len(row["prompt_ids"]))],
        )
        for row in generated.to_pylist()
    ]
    table = client.activations(wanted)
    direct = {
        means.id: means.vectors for means in engine.activations(ActivationsRequest(rows=wanted))
    }
    expected = np.concatenate([direct[row.id] for row in wanted])
    np.testing.assert_array_equal(to_matrix(table["vector"]), expected)
    assert table["layer"].to_pylist() == list(range(4)) * 3

    (scored,) = client.loglikelihood([LikelihoodRow(id="x", messages=TALK, continuation="hi")])
    assert scored.n_tokens == 2
    (chat,) = client.render([RenderRow(id="x", messages=TALK)])
    assert chat.token_ids
    assert client.info().counters["responses"] == 6


def test_what_the_engine_refuses_is_one_line(client: EngineClient) -> None:
    steer = [Intervention(op="add", layer=4, vector="v")]
    with pytest.raises(EngineError, match="RequestError: layer 4: the model has layers 0 to 3"):
        client.generate(rows(interventions=steer), SAMPLING, VECTORS)
    with pytest.raises(EngineError, match=r"RequestError: .* without an embedder"):
        client.embed(["hello"])


def test_a_missing_model_is_one_line(servers: Servers, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launch, "SERVER_MODULE", "personae.inference.server")
    with pytest.raises(EngineError, match=r"ModelError: .* is no prepared model: .*\.log\)$"):
        servers.connect("nowhere", start_timeout=120)


def test_an_endpoint_plays_the_user_of_a_real_model(
    client: EngineClient, serve: Callable[..., Endpoint], runtime: Callable[..., Runtime]
) -> None:
    endpoint = serve(lambda body, _: completion(f"message {len(body['messages'])}"))
    prompt = AuditorPrompt(system="{persona} {topic} {end}", opening="Go.", end="BYE")
    talks = [SimulatedConversation(name, "coding", name, "a topic") for name in ("ann", "bob")]
    room = client.info().max_length
    auditor = Auditor("judge", runtime(endpoint.url), prompt, talks, 2, client, 8, 0)
    dialogues = [talk.dialogue for talk in talks]
    table = play(client, dialogues, SAMPLING, "replays", seed=0, users=auditor)
    assert table["turn"].to_pylist() == [0, 0, 1, 1]
    assert table["question"].to_pylist() == ["message 2"] * 2 + ["message 4"] * 2
    assert auditor.ended == {}
    longest = max(map(len, table["prompt_ids"].to_pylist())) + SAMPLING.max_new_tokens
    assert longest < room
    narrow = Auditor("judge", runtime(endpoint.url), prompt, talks, 2, client, room, 0)
    empty = play(client, dialogues, SAMPLING, "replays", seed=0, users=narrow)
    assert empty.num_rows == 0
    assert all("context" in why for why in narrow.ended.values())
