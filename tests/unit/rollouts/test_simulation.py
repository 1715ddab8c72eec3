"""An endpoint plays the user: its messages arrive, none is invented, and none is paid twice."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from scripts.drift import simulate_conversations

from personae.base.errors import PersonaeError
from personae.base.strict_yaml import read_yaml
from personae.data import tables
from personae.data.vector_stacks import vector_rows
from personae.personas.library import AuditorPrompt, load_auditor
from personae.rollouts.drift_replay import replayed_transcripts, turn_projections
from personae.science.drift import drift_summary
from personae.workflow import node_params
from personae.workflow.config import load_study
from tests.unit.endpoints.conftest import _fast_and_with_key, serve
from tests.unit.endpoints.misbehaving import Endpoint, Reply, completion, failure

from .test_conversation import EchoEngine

__all__ = ["_fast_and_with_key", "serve"]

ROOT = Path(__file__).resolve().parents[3]
PROMPT = AuditorPrompt(
    system="You are {persona}. Talk of {topic}. Else {end}.", opening="Go.", end="BYE"
)
USERS = [
    {"domain": "coding", "persona": "ann", "description": "Ann {x}", "topics": [["c", "cats"]]},
    {"domain": "therapy", "persona": "bob", "description": "Bob", "topics": [["d", "dogs"]]},
]  # fmt: skip
SIMULATION = {
    "users": USERS,
    "turns": 3,
    "prompt": PROMPT.model_dump(),
    "auditor": {},
    "seed": 7,
    "sampling": {"max_new_tokens": 10},
}


class Model(EchoEngine):
    """Echoes its input; its context holds a number of messages."""

    def __init__(self, max_length: int = 10_000) -> None:
        super().__init__()
        self.max_length = max_length

    def info(self) -> Any:
        return self


def user_turn(body: dict[str, Any]) -> str:
    """Return the user of a request and its next turn."""
    name = "ann" if "Ann" in body["messages"][0]["content"] else "bob"
    return f"{name}{sum(m['role'] == 'assistant' for m in body['messages'])}"


def says(**planted: Reply) -> Callable[[dict[str, Any], int], Reply]:
    """Return an auditor that says who it is and which turn it is, or what is planted there."""
    return lambda body, _: planted.get(user_turn(body), completion(f"{user_turn(body)} speaks"))


class Node:
    """Runs the node against an endpoint; keeps the requests and the table."""

    def __init__(self, serve: Callable[..., Endpoint], folder: Path) -> None:
        self.asked: list[dict[str, Any]] = []
        self.behave = says()
        self.endpoint = serve(self._reply)
        self.folder = folder
        self.path = folder / "simulated.parquet"

    def _reply(self, body: dict[str, Any], before: int) -> Reply:
        self.asked.append(body)
        return self.behave(body, before)

    def run(self, engine: Model | None = None, **changes: Any) -> list[dict[str, Any]]:
        """Return the rows of the table."""
        auditor = {"base_url": self.endpoint.url, "model": "m", "key_variable": "PLANTED_KEY",
                   "attempts": 1}  # fmt: skip
        config = {
            "study": "s",
            "judging": {"answers": str(self.folder / "answers")},
            "endpoints": {"user": auditor},
            "assignments": {"auditor": "user"},
        }
        simulate_conversations.main(
            simulation={**SIMULATION, **changes},
            config=config,
            path_out=str(self.path),
            engine=engine or Model(),  # type: ignore[arg-type]
            provenance={},
        )
        return tables.read(self.path, "replays").to_pylist()

    @property
    def ended(self) -> dict[str, str]:
        """Conversations that ended early, and why."""
        found: dict[str, str] = json.loads(tables.provenance(self.path)["ended"])
        return found


@pytest.fixture
def node(serve: Callable[..., Endpoint], tmp_path: Path) -> Node:
    return Node(serve, tmp_path)


class Talker(Model):
    """Answers with its view of the conversation, so that both sides can be told apart."""

    def generate(self, rows: Any, sampling: Any, vectors: Any = None) -> Any:
        self.asked = [*getattr(self, "asked", []), *rows]
        return super().generate(rows, sampling, vectors)


def test_without_an_endpoint_the_model_plays_the_user_and_says_so(tmp_path: Path) -> None:
    path, engine = tmp_path / "simulated.parquet", Talker()
    simulate_conversations.main(
        simulation={**SIMULATION, "turns": 2},
        config={"study": "s", "assignments": {}},
        path_out=str(path),
        engine=engine,  # type: ignore[arg-type]
        provenance={},
    )
    rows = tables.read(path, "replays").to_pylist()
    assert [(r["conversation"], r["turn"]) for r in rows] == [
        ("coding-ann-c", 0), ("therapy-bob-d", 0), ("coding-ann-c", 1), ("therapy-bob-d", 1),
    ]  # fmt: skip
    assert tables.provenance(path)["user"] == "the studied model"
    users = [row for row in engine.asked if row.messages[0].role == "system"]
    assert users[0].messages[0].content == "You are Ann {x}. Talk of cats. Else BYE."
    assert [m.role for m in users[2].messages] == ["system", "user", "assistant", "user"]
    assert users[2].messages[2].content == rows[0]["question"]
    assert users[2].messages[3].content == rows[0]["response"]
    assert users[0].seed != users[1].seed != users[2].seed
    model = [row for row in engine.asked if row.messages[0].role == "user"]
    assert [m.role for m in model[2].messages] == ["user", "assistant", "user"]


def test_messages_arrive_as_user_turns_and_the_auditor_sees_the_roles_flipped(node: Node) -> None:
    rows = node.run()
    assert [(r["conversation"], r["turn"], r["question"]) for r in rows] == [
        (f"{domain}-{name}-{topic}", turn, f"{name}{turn} speaks")
        for turn in range(3)
        for domain, name, topic in (("coding", "ann", "c"), ("therapy", "bob", "d"))
    ]
    assert {(r["arm"], r["kind"]) for r in rows} == {("simulated", "simulated")}
    assert node.ended == {}
    # The model: no system prompt, the auditor's words as the user's.
    assert [(m["role"], m["content"]) for m in json.loads(rows[-2]["messages"])] == [
        ("user", "ann0 speaks"), ("assistant", "re: ann0 speaks"),
        ("user", "ann1 speaks"), ("assistant", "re: ann1 speaks"),
        ("user", "ann2 speaks"),
    ]  # fmt: skip
    # The auditor: who it is, then its own words as the assistant's.
    (last,) = [body for body in node.asked if user_turn(body) == "ann2"]
    assert [(m["role"], m["content"]) for m in last["messages"]] == [
        ("system", "You are Ann {x}. Talk of cats. Else BYE."),
        ("user", "Go."),
        ("assistant", "ann0 speaks"), ("user", "re: ann0 speaks"),
        ("assistant", "ann1 speaks"), ("user", "re: ann1 speaks"),
    ]  # fmt: skip
    assert len({body["seed"] for body in node.asked}) == len(node.asked) == 6


def test_a_second_run_sends_nothing_and_says_the_same(node: Node) -> None:
    first = node.run()
    node.behave = lambda body, before: failure(500)
    asked = len(node.asked)
    assert node.run() == first
    assert len(node.asked) == asked


def test_another_seed_asks_anew(node: Node) -> None:
    before = {row["seed"] for row in node.run()}
    after = {row["seed"] for row in node.run(seed=8)}
    assert len(node.asked) == 12
    assert not before & after


def test_an_auditor_that_fails_fails_the_node_and_the_rest_is_kept(node: Node) -> None:
    node.behave = says(bob1=failure(500))
    with pytest.raises(PersonaeError, match=r"endpoints\.user: 1 of 2 requests failed"):
        node.run()
    assert not node.path.exists()
    asked = Counter(map(user_turn, node.asked))
    node.behave = says()
    rows = node.run()
    assert Counter(r["question"] for r in rows).total() == 6
    again = Counter(map(user_turn, node.asked)) - asked
    assert again["ann0"] == again["bob0"] == 0
    assert again["bob1"] == 1


@pytest.mark.parametrize(
    ("reply", "why"),
    [
        (failure(400, "content_filter"), "the auditor was filtered"),
        (completion("half a", finish="content_filter"), "ended with content_filter"),
        (completion("Thanks. BYE"), "the auditor ended the conversation"),
        (completion("  "), "message is empty"),
    ],
)
def test_a_message_that_was_not_written_ends_the_conversation(
    node: Node, reply: Reply, why: str
) -> None:
    node.behave = says(ann1=reply)
    rows = node.run()
    assert [r["turn"] for r in rows if r["domain"] == "coding"] == [0]
    assert [r["turn"] for r in rows if r["domain"] == "therapy"] == [0, 1, 2]
    (reason,) = node.ended.values()
    assert reason.startswith("before turn 2: ")
    assert why in reason
    assert list(node.ended) == ["coding-ann-c"]


def test_no_conversation_at_all_is_an_error(node: Node) -> None:
    node.behave = lambda body, _: failure(400, "content_filter")
    with pytest.raises(PersonaeError, match=r"no conversation has a turn .* filtered"):
        node.run()


def test_a_conversation_ends_where_the_models_context_is_full(node: Node) -> None:
    # The model of these tests counts a message as one token; 10 are for the answer, 32 to spare.
    rows = node.run(Model(max_length=10 + 32 + 3))
    assert {r["turn"] for r in rows} == {0, 1}
    assert node.ended["therapy-bob-d"] == "before turn 3: the model's context of 45 tokens is full"


def test_an_empty_answer_ends_the_conversation_and_is_not_projected(node: Node) -> None:
    class Mute(Model):
        def generate(self, rows: Any, sampling: Any, vectors: Any) -> pa.Table:
            table = super().generate(rows, sampling, vectors)
            texts = ["" if "ann1" in text else text for text in table["response"].to_pylist()]
            return table.set_column(3, "response", pa.array(texts))

    rows = node.run(Mute())
    assert [r["turn"] for r in rows if r["domain"] == "coding"] == [0, 1]
    assert "before turn 3: the model's last answer is empty" in node.ended.values()
    read = {t.columns["domain"]: t for t in replayed_transcripts(tables.read(node.path, "replays"))}
    assert [m.content for m in read["coding"].messages] == ["ann0 speaks", "re: ann0 speaks"]
    assert len(read["therapy"].messages) == 6


def test_simulated_turns_are_projected_and_averaged_by_domain(node: Node) -> None:
    node.behave = says(ann2=completion("BYE"))
    node.run()
    axis = pa.table(
        {"direction": ["axis"] * 2, **vector_rows(np.asarray([[5.0, 0.0]] * 2), range(2))}
    )
    transcripts = replayed_transcripts(tables.read(node.path, "replays"))
    table = turn_projections(Model(), transcripts, axis)  # type: ignore[arg-type]
    table = table.filter(pc.equal(table["layer"], 1))

    def kept(least: int) -> set[tuple[str, int, int, float]]:
        found = drift_summary(table, 1, min_samples=99, seed=0, of_domains={"simulated": least})
        return {(r["domain"], r["turn"], r["n"], r["mean"]) for r in found.to_pylist()}

    assert kept(1) == {
        ("coding", 0, 1, 0.0), ("coding", 1, 1, 1.0),
        ("therapy", 0, 1, 0.0), ("therapy", 1, 1, 1.0), ("therapy", 2, 1, 2.0),
        ("*", 0, 2, 0.0), ("*", 1, 2, 1.0), ("*", 2, 1, 2.0),
    }  # fmt: skip
    assert kept(2) == {("*", 0, 2, 0.0), ("*", 1, 2, 1.0)}


def test_the_shipped_prompt_holds_persona_and_topic() -> None:
    auditor = load_auditor("config/conversations", ROOT)
    prompt = auditor.filled("You are Ann, {topic}.", "Cats.")
    assert "You are Ann, {topic}." in prompt
    assert "Cats." in prompt
    assert auditor.end in prompt
    assert "{persona}" not in prompt


def test_what_a_node_depends_on_is_neither_key_nor_limit() -> None:
    study = read_yaml(ROOT / "config/demo.yaml")
    study["drift"]["simulated"] = None
    endpoint = {"base_url": "https://example.org/v1", "model": "m", "temperature": 1.0}
    study |= {"endpoints": {"user": endpoint}, "assignments": {"auditor": "user"}}
    assert node_params.simulation(load_study(study, ROOT)) is None
    study["drift"]["simulated"] = {
        "domains": ["therapy"], "personas": 2, "topics": 3, "turns": 4, "min_samples": 6
    }  # fmt: skip
    before = node_params.simulation(load_study(study, ROOT))
    assert before is not None
    assert [len(user["topics"]) for user in before["users"]] == [3, 3]
    study["drift"]["simulated"]["min_samples"] = 2
    endpoint |= {"concurrency": 99, "key_variable": "OTHER", "timeout": 1.0, "price_in": 1.0}
    assert node_params.simulation(load_study(study, ROOT)) == before
    endpoint["temperature"] = 0.5
    assert node_params.simulation(load_study(study, ROOT)) != before
