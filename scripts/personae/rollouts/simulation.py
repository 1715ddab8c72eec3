"""Simulated conversations: an auditor plays the user (AA, persona drift).

The auditor is an endpoint, or without one the studied model itself on its own server, uncapped.
The auditor's prompt gives it a user persona and a topic; it sees the conversation with roles
swapped. The studied model gets no system prompt. If the auditor returns no usable message (it ends
the conversation, or its message was filtered or refused), the conversation ends before that turn
and the log says why. If its endpoint cannot be reached, the node fails; the next attempt uses the
stored answers.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from personae.api.requests import GenerateRow, Message, RenderRow, Sampling
from personae.api.rollout import seed_of
from personae.base.errors import PersonaeError
from personae.data.table_values import SIMULATED
from personae.endpoints.ask import Outcome, ask_all
from personae.endpoints.chat_answer import ChatAnswer, Failure
from personae.endpoints.chat_request import SEEDS, make_body
from personae.endpoints.runtime import Runtime
from personae.inference.client import EngineClient
from personae.personas.library import AuditorPrompt
from personae.rollouts.conversation import Dialogue

LOG = logging.getLogger("personae")
_CONTENT_FREE: Final = ("content_filter", "refusal")
MARGIN: Final = 32
"""Upper bound on the tokens with which a chat template opens the assistant's turn."""
_FLIPPED: Final[dict[str, Any]] = {"user": "assistant", "assistant": "user"}


@dataclass(frozen=True)
class SimulatedConversation:
    """One simulated conversation: user persona and topic."""

    id: str
    domain: str
    persona: str
    topic: str

    @property
    def dialogue(self) -> Dialogue:
        """The empty conversation."""
        columns = {"conversation": self.id, "domain": self.domain}
        return Dialogue(
            id=f"{self.id}-{SIMULATED}",
            seed_key=(SIMULATED, self.id),
            system=None,
            columns={**columns, "kind": SIMULATED, "arm": SIMULATED},
        )


def talks_of(users: Sequence[Mapping[str, Any]]) -> list[SimulatedConversation]:
    """Return one conversation per topic of every user persona.

    Parameters
    ----------
    users
        Records with ``domain``, ``persona`` (id), ``description`` and ``topics``, which are pairs
        of id and text.
    """
    return [
        SimulatedConversation(
            f"{u['domain']}-{u['persona']}-{topic}", u["domain"], u["description"], text
        )
        for u in users
        for topic, text in u["topics"]
    ]


@dataclass
class Auditor:
    """Writes the user turns; see `personae.rollouts.conversation.UserTurns`.

    Attributes
    ----------
    endpoint, runtime
        Name of the endpoint that plays the user, and what it takes to ask it; None if the model
        plays the user.
    max_new_tokens
        Maximum tokens of a response; a conversation ends when the model's context cannot hold
        another one.
    sampling
        Of the messages that the model itself writes as the user.
    seed
        Seed of the study. A request's seed derives from it, the conversation and the turn, so that
        all models of a study receive the same first message.
    ended
        Maps ids of conversations that ended before ``turns`` to the reason.
    """

    endpoint: str | None
    runtime: Runtime | None
    prompt: AuditorPrompt
    talks: Sequence[SimulatedConversation]
    turns: int
    engine: EngineClient
    max_new_tokens: int
    seed: int
    sampling: Sampling = field(default_factory=Sampling)
    ended: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Index the conversations by the ids of their dialogues."""
        self._talks = {talk.dialogue.id: talk for talk in self.talks}
        self._context = self.engine.info().max_length

    def __call__(
        self,
        dialogues: Sequence[Dialogue],
        histories: Mapping[str, Sequence[Message]],
        turn: int,
    ) -> list[str | None]:
        """Return the next user message of each conversation; None ends it."""
        if turn == self.turns:
            return [None] * len(dialogues)
        answered = [d.id for d in dialogues if self._answered(d.id, histories[d.id], turn)]
        LOG.info("turn %d: %d messages from the auditor", turn + 1, len(answered))
        outcomes = self._ask({name: histories[name] for name in answered}, turn)
        said = {
            name: text
            for name, outcome in zip(answered, outcomes, strict=True)
            if (text := self._message(name, outcome, turn)) is not None
        }
        fitting = set(self._fitting(said, histories, turn))
        return [said[d.id] if d.id in fitting else None for d in dialogues]

    def view(self, name: str, history: Sequence[Message]) -> list[Message]:
        """Return the conversation as sent to the auditor: its own messages have role assistant."""
        talk = self._talks[name]
        return [
            Message(role="system", content=self.prompt.filled(talk.persona, talk.topic)),
            Message(role="user", content=self.prompt.opening),
            *(Message(role=_FLIPPED[m.role], content=m.content) for m in history),
        ]

    def _answered(self, name: str, history: Sequence[Message], turn: int) -> bool:
        """Return whether the last response is not empty; an empty one ends the conversation."""
        if history and not history[-1].content.strip():
            return self._end(name, turn, "the model's last answer is empty")
        return True

    def _ask(self, histories: Mapping[str, Sequence[Message]], turn: int) -> list[Outcome]:
        if self.endpoint is None or self.runtime is None:
            return self._ask_model(histories, turn)
        endpoint = self.runtime.endpoint(self.endpoint)
        bodies = [
            make_body(
                endpoint,
                self.view(name, history),
                seed=seed_of(self.seed, "auditor", self._talks[name].id, turn) % SEEDS,
            )
            for name, history in histories.items()
        ]
        return ask_all(self.endpoint, bodies, self.runtime, most_failures=0, may_be_blank=True)

    def _ask_model(self, histories: Mapping[str, Sequence[Message]], turn: int) -> list[Outcome]:
        """Let the model write the messages, from the same view of the conversation."""
        rows = [
            GenerateRow(
                id=name,
                messages=self.view(name, history),
                seed=seed_of(self.seed, "auditor", self._talks[name].id, turn),
            )
            for name, history in histories.items()
        ]
        if not rows:
            return []
        written = self.engine.generate(rows, self.sampling)
        texts, reasons = (written[name].to_pylist() for name in ("response", "finish_reason"))
        return [ChatAnswer(text, why) for text, why in zip(texts, reasons, strict=True)]

    def _message(self, name: str, outcome: Outcome, turn: int) -> str | None:
        """Return the auditor's message, or None if there is none to send.

        # ASSUME: a message truncated at the endpoint's max_tokens is sent as it is.
        """
        if isinstance(outcome, Failure):
            if outcome.reason != "filtered":
                raise PersonaeError(f"{name}: no user message ({outcome.detail}); run again")
            self._end(name, turn, f"the auditor was filtered ({outcome.detail})")
        elif outcome.finish_reason in _CONTENT_FREE:
            self._end(name, turn, f"the endpoint ended with {outcome.finish_reason}")
        elif self.prompt.end in outcome.text:
            self._end(name, turn, "the auditor ended the conversation")
        elif not outcome.text.strip():
            self._end(name, turn, "the auditor's message is empty")
        else:
            return outcome.text.strip()
        return None

    def _fitting(
        self, said: Mapping[str, str], histories: Mapping[str, Sequence[Message]], turn: int
    ) -> Iterator[str]:
        """Yield the conversations whose next response fits into the model's context.

        # ASSUME: a conversation that does not fit ends; earlier turns are not truncated.
        """
        rows = [
            RenderRow(id=n, messages=[*histories[n], Message(role="user", content=text)])
            for n, text in said.items()
        ]
        for chat in self.engine.render(rows) if rows else []:
            if len(chat.token_ids) + MARGIN + self.max_new_tokens <= self._context:
                yield chat.id
            else:
                self._end(chat.id, turn, f"the model's context of {self._context} tokens is full")

    def _end(self, name: str, turn: int, why: str) -> bool:
        self.ended[self._talks[name].id] = f"before turn {turn + 1}: {why}"
        LOG.info("%s ends before turn %d: %s", self._talks[name].id, turn + 1, why)
        return False
