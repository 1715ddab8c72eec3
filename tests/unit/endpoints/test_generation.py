"""Responses from an endpoint: token ids by rendering, every rollout there, none made up."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from personae.api.requests import Intervention, RenderedChat, RenderRow, Sampling, Span
from personae.api.rollout import Rollout
from personae.base.errors import PersonaeError
from personae.data import tables
from personae.endpoints.runtime import Runtime
from personae.rollouts.persona_rollouts import role_rollouts
from personae.rollouts.responses import plain_responses

from .misbehaving import Endpoint, Reply, completion, failure

SAMPLING = Sampling(temperature=0.7, top_p=0.9, max_new_tokens=20)
ROLLOUTS = role_rollouts(
    role="pirate",
    prompts=["You are a pirate.", "Arr {name}."],
    questions={"extraction": [("q0", "Who are you?"), ("q1", "Why?")]},
    samples=2,
    model_name="M",
    seed=3,
)


class Letters:
    """Renders a conversation as letters; a token is the code of a letter."""

    def render(self, rows: Sequence[RenderRow]) -> list[RenderedChat]:
        rendered = []
        for row in rows:
            *before, last = row.messages
            text = "".join(f"<{m.role}>{m.content}" for m in before) + "<assistant>"
            ids = [ord(c) for c in text + last.content + "<end>"]
            turn = Span(name="turn0", start=len(text), end=len(text) + len(last.content))
            rendered.append(
                RenderedChat(id=row.id, token_ids=ids, turns=[turn], system_inserted="")
            )
        return rendered


@pytest.fixture
def run(serve: Callable[..., Endpoint], runtime: Callable[..., Runtime]) -> Callable[..., Any]:
    """Return a function that generates at an endpoint with a behaviour."""

    def generate(
        behave: Callable[..., Reply], rollouts: Sequence[Rollout] = ROLLOUTS
    ) -> tuple[Endpoint, list[dict[str, Any]]]:
        endpoint = serve(behave)
        config = {
            "study": "s",
            "judging": {"answers": str(runtime(endpoint.url).answers)},
            "endpoints": {
                "remote": {
                    "base_url": endpoint.url,
                    "model": "served",
                    "key_variable": "PLANTED_KEY",
                    "attempts": 1,
                }
            },
        }
        table = plain_responses(
            Letters(), rollouts, SAMPLING, "role_responses", {"endpoint": "remote"}, config
        )
        tables.assemble([table], "role_responses")
        return endpoint, table.to_pylist()

    return generate


def test_every_rollout_is_asked_with_its_own_seed_and_gets_its_own_answer(
    run: Callable[..., Any],
) -> None:
    bodies: list[dict[str, Any]] = []

    def behave(body: dict[str, Any], before: int) -> Reply:
        bodies.append(body)
        return completion(f"seed {body['seed']}")

    _, rows = run(behave)
    assert [row["response_id"] for row in rows] == [r.id for r in ROLLOUTS]
    assert [row["response"] for row in rows] == [f"seed {r.seed % 2**31}" for r in ROLLOUTS]
    assert len({body["seed"] for body in bodies}) == 8
    assert {(b["temperature"], b["top_p"], b["max_tokens"]) for b in bodies} == {(0.7, 0.9, 20)}
    assert {row["ids_from"] for row in rows} == {"rendering"}
    for row in rows:
        assert "".join(map(chr, row["response_ids"])) == row["response"]
        prompt = "".join(map(chr, row["prompt_ids"]))
        assert prompt.endswith("<assistant>")
        assert row["question"] in prompt


def test_an_empty_or_filtered_response_has_no_tokens(run: Callable[..., Any]) -> None:
    def behave(body: dict[str, Any], before: int) -> Reply:
        filtered = body["messages"][-1]["content"] == "Why?"
        return failure(400, "content_filter") if filtered else completion("")

    _, rows = run(behave)
    assert {row["finish_reason"] for row in rows} == {"stop", "content_filter"}
    assert all(row["response_ids"] == [] and row["response"] == "" for row in rows)
    assert all("".join(map(chr, row["prompt_ids"])).endswith("<assistant>") for row in rows)


def test_a_response_that_cannot_be_had_fails_the_node(run: Callable[..., Any]) -> None:
    def behave(body: dict[str, Any], before: int) -> Reply:
        return failure(500) if body["messages"][-1]["content"] == "Why?" else completion("fine")

    with pytest.raises(PersonaeError, match="run again"):
        run(behave)


def test_an_endpoint_cannot_intervene(run: Callable[..., Any]) -> None:
    cap = Intervention(op="cap", layer=1, vector="axis")
    steered = [Rollout("r", ROLLOUTS[0].messages, 1, {}, (cap,))]
    with pytest.raises(ValueError, match="cannot intervene"):
        run(lambda body, _: completion("x"), steered)
