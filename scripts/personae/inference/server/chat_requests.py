"""Bodies of the OpenAI-compatible face: what is taken, what is refused, and their defaults."""

from __future__ import annotations

import secrets
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError

from personae.api.requests import GenerateRequest, GenerateRow, Intervention, Message, Sampling
from personae.api.wire_encoding import Vector, Wire
from personae.inference.engine_errors import RequestError
from personae.inference.server.http_errors import first_problem
from personae.inference.server.presets import Presets

_CHAT_TOKENS = 512
_COMPLETION_TOKENS = 16
_PROMPTS = 1024
_SEEDS = 2**62


class TextPart(Wire):
    """One part of a message's content; only text is offered."""

    type: Literal["text"]
    text: str


class ChatMessage(Wire):
    """One message; ``developer`` is OpenAI's newer word for ``system``."""

    role: Literal["system", "developer", "user", "assistant"]
    content: str | list[TextPart]
    name: str | None = None


class TextFormat(Wire):
    """The only form of an answer."""

    type: Literal["text"]


class _SampledRequest(Wire):
    """What chat and plain completions have in common.

    ``interventions`` and ``vectors`` are this server's own. Interventions replace those that the
    model's name stands for; an empty list asks for the plain model.
    """

    model: str
    temperature: float | None = Field(default=None, ge=0, le=2)
    top_p: float | None = Field(default=None, gt=0, le=1)
    max_tokens: int | None = Field(default=None, ge=1)
    seed: int | None = Field(default=None, ge=0, lt=_SEEDS)
    n: int = Field(default=1, ge=1, le=128)
    stop: str | list[str] | None = None
    stream: bool = False
    interventions: list[Intervention] | None = None
    vectors: dict[str, Vector] = Field(default_factory=dict)
    # Sent by common clients with values that change nothing here.
    stream_options: dict[str, Any] | None = None
    frequency_penalty: Literal[0] | None = None
    presence_penalty: Literal[0] | None = None
    logit_bias: Annotated[dict[str, Any], Field(max_length=0)] | None = None
    user: str | None = None

    @property
    def marks(self) -> list[str]:
        """Texts at which an answer ends."""
        return [self.stop] if isinstance(self.stop, str) else self.stop or []


class ChatRequest(_SampledRequest):
    """The body of /v1/chat/completions, with the extensions of this server."""

    messages: list[ChatMessage] = Field(min_length=1)
    max_completion_tokens: int | None = Field(default=None, ge=1)
    logprobs: bool | None = None
    top_logprobs: Literal[0] | None = None
    tools: Annotated[list[Any], Field(max_length=0)] | None = None
    tool_choice: Literal["none", "auto"] | None = None
    parallel_tool_calls: bool | None = None
    response_format: TextFormat | None = None
    metadata: dict[str, str] | None = None
    store: Literal[False] | None = None


class CompletionRequest(_SampledRequest):
    """The body of /v1/completions: prompts, as text or token ids, that no chat template frames."""

    prompt: (
        str
        | Annotated[list[str], Field(min_length=1, max_length=_PROMPTS)]
        | Annotated[list[int], Field(min_length=1)]
        | Annotated[
            list[Annotated[list[int], Field(min_length=1)]],
            Field(min_length=1, max_length=_PROMPTS),
        ]
    )
    logprobs: int | None = Field(default=None, ge=0, le=1)
    echo: bool | None = None
    best_of: Literal[1] | None = None
    suffix: Literal[""] | None = None

    @property
    def prompts(self) -> list[str | list[int]]:
        """All prompts."""
        if isinstance(self.prompt, str) or isinstance(self.prompt[0], int):
            return [self.prompt]
        return list(self.prompt)


class EmbeddingsRequest(Wire):
    """The body of /v1/embeddings."""

    model: str
    input: str | Annotated[list[str], Field(min_length=1)]
    encoding_format: Literal["float", "base64"] = "float"
    user: str | None = None


def engine_request(
    body: ChatRequest | CompletionRequest, settings: str, presets: Presets
) -> GenerateRequest:
    """Return the request that the engine knows; without a seed, one is drawn.

    Parameters
    ----------
    settings
        What the model's name says beside the model; "" is the server's default.

    Raises
    ------
    RequestError
        If interventions and vectors do not fit, in one line.
    """
    interventions = body.interventions
    if interventions is None:
        interventions = presets.interventions(settings or presets.default)
    asked: list[dict[str, Any]]
    if isinstance(body, ChatRequest):
        asked = [{"messages": [engine_message(message) for message in body.messages]}]
        tokens = body.max_completion_tokens or body.max_tokens or _CHAT_TOKENS
    else:
        asked = [{"prompt": prompt} for prompt in body.prompts]
        tokens = body.max_tokens or _COMPLETION_TOKENS
    seed = secrets.randbelow(_SEEDS) if body.seed is None else body.seed
    # OpenAI's defaults, not this project's.
    sampling = Sampling(
        temperature=1.0 if body.temperature is None else body.temperature,
        top_p=1.0 if body.top_p is None else body.top_p,
        max_new_tokens=tokens,
    )
    try:
        rows = [
            GenerateRow(
                id=str(place * body.n + i), seed=seed + i, interventions=interventions, **prompt
            )
            for place, prompt in enumerate(asked)
            for i in range(body.n)
        ]
        vectors = presets.packed(interventions, body.vectors)
        return GenerateRequest(rows=rows, sampling=sampling, vectors=vectors)
    except ValidationError as error:
        raise RequestError(first_problem(error.errors())) from None


def engine_message(message: ChatMessage) -> Message:
    """Return a message as the engine knows it."""
    content = message.content
    text = content if isinstance(content, str) else "".join(part.text for part in content)
    return Message(role="system" if message.role == "developer" else message.role, content=text)
