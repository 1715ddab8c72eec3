"""Responses from an endpoint that serves the study's own model.

An endpoint returns text. The token ids that extraction needs are recovered by rendering the chat
template once over the whole conversation, and the column ``ids_from`` says so: a text that the
model wrote in other tokens than the tokenizer would choose is read in the tokenizer's.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, Protocol

from personae.api.requests import Message, RenderedChat, RenderRow, Sampling
from personae.api.rollout import Rollout
from personae.base.errors import PersonaeError
from personae.endpoints.ask import Outcome, ask_all
from personae.endpoints.chat_answer import ChatAnswer, Failure
from personae.endpoints.chat_request import SEEDS, make_body
from personae.endpoints.runtime import Runtime

FILTERED: Final = "content_filter"
_STAND_IN: Final = "x"  # in place of an empty response, of which a template shows no place


class Renderer(Protocol):
    """Renders chat templates, such as a client of the model server."""

    def render(self, rows: Sequence[RenderRow]) -> list[RenderedChat]:
        """Render conversations, in order."""


def generate_remotely(
    name: str,
    rollouts: Sequence[Rollout],
    sampling: Sampling,
    runtime: Runtime,
    renderer: Renderer,
) -> list[dict[str, Any]]:
    """Return one reply per rollout, with the columns of `arrow_stream.GENERATED`, in order.

    Parameters
    ----------
    name
        Of the endpoint, which must serve the same weights as ``renderer`` has a tokenizer for.
    rollouts
        Without interventions: an endpoint has none.

    Raises
    ------
    PersonaeError
        When a response cannot be had: a rollout is never left out. Those that came are kept.
    """
    if any(rollout.interventions for rollout in rollouts):
        raise ValueError(f"the endpoint {name} cannot intervene; generate on the model server")
    endpoint = runtime.endpoint(name)
    bodies = [
        make_body(
            endpoint,
            rollout.messages,
            temperature=sampling.temperature,
            top_p=sampling.top_p,
            max_tokens=sampling.max_new_tokens,
            seed=rollout.seed % SEEDS,
        )
        for rollout in rollouts
    ]
    outcomes = ask_all(name, bodies, runtime, most_failures=0, may_be_blank=True)
    answers = [_answer(r.id, o) for r, o in zip(rollouts, outcomes, strict=True)]
    rendered = renderer.render(
        [_conversation(r, a.text) for r, a in zip(rollouts, answers, strict=True)]
    )
    return [_reply(*found) for found in zip(rollouts, answers, rendered, strict=True)]


def _answer(rollout: str, outcome: Outcome) -> ChatAnswer:
    """Return the answer; a filtered one is an empty response with that finish reason."""
    if isinstance(outcome, Failure):
        if outcome.reason != "filtered":
            raise PersonaeError(f"{rollout}: no response ({outcome.detail}); run again")
        return ChatAnswer("", FILTERED)
    return outcome


def _conversation(rollout: Rollout, text: str) -> RenderRow:
    said = Message(role="assistant", content=text if text.strip() else _STAND_IN)
    return RenderRow(id=rollout.id, messages=[*rollout.messages, said])


def _reply(rollout: Rollout, answer: ChatAnswer, rendered: RenderedChat) -> dict[str, Any]:
    turn = rendered.turns[-1]
    spoken = bool(answer.text.strip())
    return {
        "id": rollout.id,
        "prompt_ids": rendered.token_ids[: turn.start],
        "response_ids": rendered.token_ids[turn.start : turn.end] if spoken else [],
        "response": answer.text,
        "finish_reason": answer.finish_reason,
        "seed": rollout.seed,
        "system_inserted": rendered.system_inserted,
        "fired": 0,
        "ids_from": "rendering",
    }
