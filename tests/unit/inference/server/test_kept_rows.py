"""Rows received before a node failed are not requested again."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from personae.api.requests import (
    ActivationRow,
    ActivationsRequest,
    EngineSpec,
    LikelihoodRow,
    Message,
    Span,
)
from personae.api.wire_encoding import pack_vector
from personae.data.vector_columns import to_matrix
from personae.inference.client import EngineClient, EngineError, connect
from personae.inference.client.row_cache import KeptRows
from personae.workflow.node import run_model_node
from tests.signals import raising_interrupts

from .harness import Servers, is_gone, say, wait_until

NODE = {"rule": "generate_role_responses", "code": "c0de"}


class Params(dict[str, Any]):
    """Parameters as Snakemake passes them: by name, and as a mapping."""

    __getattr__ = dict.__getitem__


@pytest.fixture
def client(servers: Servers) -> Iterator[EngineClient]:
    with servers.connect() as client:
        yield client


def kept(servers: Servers, **node: str) -> KeptRows:
    return KeptRows(servers.folder / "kept", {**NODE, **node})


def files(servers: Servers) -> list[Path]:
    return [path for path in (servers.folder / "kept").rglob("*") if path.is_file()]


def fail(servers: Servers, client: EngineClient, *commands: str, **node: str) -> str:
    with pytest.raises(EngineError) as caught, client.keeping(kept(servers, **node)):
        say(client, *commands)
    return str(caught.value)


def test_after_a_row_that_failed_the_others_are_there(
    servers: Servers, client: EngineClient, tmp_path: Path
) -> None:
    commands = ["a", "b", f"need {tmp_path / 'memory'}"]
    assert "layer 7 of 3" in fail(servers, client, *commands)
    assert "layer 7 of 3" in fail(servers, client, *commands)
    (tmp_path / "memory").touch()
    with client.keeping(kept(servers)):
        assert say(client, *commands) == commands
    assert client.info().counters == {"row0": 1, "row1": 1, "row2": 3}
    assert any("2 of 3 rows were computed before" in line for line in servers.log)
    assert files(servers) == []


def test_a_row_that_is_given_up_does_not_cost_the_others(
    servers: Servers, client: EngineClient
) -> None:
    fail(servers, client, "a", "b", "refuse")
    with client.keeping(kept(servers)):
        assert say(client, "a", "b") == ["a", "b"]
    assert client.info().counters == {"row0": 1, "row1": 1, "row2": 1}


def test_rows_of_a_server_that_was_killed_are_there(servers: Servers, client: EngineClient) -> None:
    # Long enough for the first rows to arrive: a request whose reply did not begin is sent again.
    fail(servers, client, "a", "b", "sleep 3", "crash")
    assert wait_until(lambda: all(map(is_gone, servers.loads())), 10)
    with servers.connect() as again:
        with again.keeping(kept(servers)):
            assert say(again, "a", "b", "c") == ["a", "b", "c"]
        assert again.info().counters == {"row2": 1}


def test_earlier_requests_of_a_node_are_kept_too(servers: Servers, client: EngineClient) -> None:
    def node(last: str) -> list[str]:
        with client.keeping(kept(servers)):
            return [*say(client, "first turn"), *say(client, "second turn"), *say(client, last)]

    with pytest.raises(EngineError):
        node("refuse")
    assert node("third turn") == ["first turn", "second turn", "third turn"]
    assert client.info().counters == {"row0": 4}


class Node:
    """A node that requests two rows, as Snakemake describes it, in the servers' folder."""

    def __init__(self, servers: Servers) -> None:
        self.described = SimpleNamespace(
            log=["logs/node.log"],
            rule="generate_role_responses",
            wildcards={"role": "pirate"},
            threads=1,
            params=Params(code="c0de", engine={"model": servers.spec().model}),
            config={"study": "s", "seed": 3},
            input=[],
            output=[],
        )

    def attempt(self, last: str, after: Callable[[], None] = lambda: None) -> dict[str, int]:
        """Run the node and return how often each row was requested from the server so far."""

        def main(*, engine: EngineClient, provenance: dict[str, str]) -> None:
            say(engine, "a", last)
            after()

        with contextlib.suppress(SystemExit):
            run_model_node(self.described, main)
        with connect(EngineSpec(**self.described.params.engine)) as engine:
            return engine.info().counters


def test_a_node_that_failed_asks_for_the_rest_and_then_keeps_nothing(
    servers: Servers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(servers.folder)
    node, place = Node(servers), Path("results/s/.finished")
    assert node.attempt("refuse") == {"row0": 1, "row1": 1}
    assert [path for path in place.rglob("*") if path.is_file()]
    node.described.wildcards = {"role": "ghost"}
    assert node.attempt("b") == {"row0": 2, "row1": 2}
    node.described.wildcards = {"role": "pirate"}
    assert node.attempt("b") == {"row0": 2, "row1": 3}
    assert "1 of 2 rows were computed before" in Path("logs/node.log").read_text()
    assert not [path for path in place.rglob("*") if path.is_file()]


def test_a_node_that_a_batch_system_ends_keeps_its_rows(
    servers: Servers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(servers.folder)
    node, before = Node(servers), signal.getsignal(signal.SIGTERM)
    node.attempt("b", after=lambda: os.kill(os.getpid(), signal.SIGTERM))
    assert "ended by SIGTERM" in Path("logs/node.log").read_text()
    assert node.attempt("b") == {"row0": 1, "row1": 1}
    assert signal.getsignal(signal.SIGTERM) == before


@pytest.mark.parametrize("node", [{"code": "other"}, {"rule": "steer_trait"}, {"model": "other"}])
def test_another_node_asks_for_its_own_rows(
    servers: Servers, client: EngineClient, node: dict[str, str]
) -> None:
    fail(servers, client, "a", "refuse")
    with client.keeping(kept(servers, **node)):
        say(client, "a")
    assert client.info().counters["row0"] == 2


def test_interventions_that_never_acted_are_judged_on_the_whole_request(
    servers: Servers, client: EngineClient
) -> None:
    fail(servers, client, "a", "idle")
    fail(servers, client, "a", "idle")
    fail(servers, client, "a", "idle")
    assert client.info().counters == {"row0": 3, "row1": 3}


def test_a_kept_file_that_is_damaged_is_asked_for_again(
    servers: Servers, client: EngineClient
) -> None:
    fail(servers, client, "a", "refuse")
    (path,) = files(servers)
    path.write_bytes(path.read_bytes()[:-200])
    with client.keeping(kept(servers)):
        assert say(client, "a") == ["a"]
    assert client.info().counters["row0"] == 2


def test_a_node_that_is_interrupted_keeps_its_rows(servers: Servers, client: EngineClient) -> None:
    def node() -> None:
        with client.keeping(kept(servers)):
            say(client, "a")
            os.kill(os.getpid(), signal.SIGINT)

    with raising_interrupts(), pytest.raises(KeyboardInterrupt):
        node()
    with client.keeping(kept(servers)):
        assert say(client, "a", "b") == ["a", "b"]
    assert client.info().counters == {"row0": 1, "row1": 1}


def test_activations_and_scores_are_kept_as_they_are(
    servers: Servers, client: EngineClient
) -> None:
    spans = [Span(name="one", start=0, end=1), Span(name="all", start=0, end=5)]
    rows = [
        ActivationRow(id=name, token_ids=[1] * 5, n_prompt=1, spans=spans) for name in ("x", "y")
    ]
    talk = [Message(role="user", content="hello")]
    scored = [LikelihoodRow(id=name, messages=talk, continuation="y") for name in ("x", "y")]
    results: list[Any] = []

    def node() -> None:
        with client.keeping(kept(servers)):
            results.extend((client.activations(rows), client.loglikelihood(scored)))
            say(client, "refuse")

    with pytest.raises(EngineError):
        node()
    means, scores = results
    assert len(files(servers)) == 2
    with client.keeping(kept(servers)):
        again = client.activations(rows)
        assert client.loglikelihood(scored) == scores
        turned = client.activations(rows[::-1])
    assert again.equals(means)
    assert turned["id"].to_pylist() == ["y"] * 6 + ["x"] * 6
    assert np.array_equal(to_matrix(turned["vector"])[:6], to_matrix(means["vector"])[6:])


def test_a_node_that_is_killed_keeps_the_rows_that_came(
    servers: Servers, client: EngineClient
) -> None:
    child = os.fork()
    if child == 0:  # ends without any handler, as by kill -9
        with client.keeping(kept(servers)):
            say(client, "a", "b")
            os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(child, 0)
    with client.keeping(kept(servers)):
        assert say(client, "a", "b", "c") == ["a", "b", "c"]
    assert client.info().counters == {"row0": 1, "row1": 1, "row2": 1}
    assert files(servers) == []


def test_rows_of_several_attempts_are_put_together(servers: Servers, client: EngineClient) -> None:
    fail(servers, client, "a", "refuse")
    fail(servers, client, "a", "b", "refuse")
    with client.keeping(kept(servers)):
        assert say(client, "a", "b", "c") == ["a", "b", "c"]
    assert client.info().counters["row0"] == 1


def test_a_kept_row_whose_bits_changed_is_asked_for_again(
    servers: Servers, client: EngineClient
) -> None:
    fail(servers, client, "a planted answer", "refuse")
    (path,) = files(servers)
    data = path.read_bytes()
    assert data.count(b"a planted answer") == 1
    path.write_bytes(data.replace(b"a planted answer", b"b planted answer"))
    with client.keeping(kept(servers)):
        assert say(client, "a planted answer") == ["a planted answer"]
    assert client.info().counters["row0"] == 2


def test_a_full_disk_costs_kept_rows_and_no_result(
    servers: Servers, client: EngineClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    (servers.folder / "kept").write_text("no folder can be made here")
    with client.keeping(kept(servers)):
        assert say(client, "a", "b") == ["a", "b"]


def test_vectors_in_another_order_are_the_same_request(tmp_path: Path) -> None:
    """A node that draws them from a set names them in another order each time."""
    vectors = {name: pack_vector(np.full(4, float(i))) for i, name in enumerate("abc")}
    span = Span(name="response", start=0, end=2)
    rows = [ActivationRow(id="r", token_ids=[1, 2], n_prompt=1, spans=[span])]
    one, other = (
        ActivationsRequest(rows=rows, layers=[0], vectors=dict(order))
        for order in (vectors.items(), reversed(vectors.items()))
    )
    KeptRows(tmp_path, NODE).of("/activations", one).take(
        pa.RecordBatch.from_pylist([{"id": "r", "span": "response"}])
    )
    assert not KeptRows(tmp_path, NODE).of("/activations", other).rest().rows
    more = other.model_copy(update={"vectors": vectors | {"a": pack_vector(np.ones(4))}})
    assert KeptRows(tmp_path, NODE).of("/activations", more).rest().rows
