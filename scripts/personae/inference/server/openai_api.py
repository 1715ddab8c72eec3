"""The OpenAI-compatible interface: any chat client can use a steered or capped model.

``/v1/chat/completions`` takes two more fields, ``interventions`` and ``vectors``, as in
`personae.api.requests`. Unsupported fields are rejected, not ignored. A streamed reply is sent
token by token if the engine can report them, otherwise when an answer is complete.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response
from numpy.typing import NDArray
from pydantic import Field, ValidationError

from personae.api.requests import (
    EngineInfo,
    GenerateRequest,
    GenerateRow,
    Intervention,
    Message,
    Sampling,
)
from personae.api.wire_encoding import Vector, Wire, pack_vector
from personae.inference.engine_errors import RequestError, UnknownModelError
from personae.inference.server.backend import GeneratedResponse, StreamingBackend
from personae.inference.server.chat_stream import ChatEvents, PartialAnswer, cut
from personae.inference.server.device_queue import DeviceTicket
from personae.inference.server.http_errors import first_problem
from personae.inference.server.text_route import TextRoute
from personae.inference.server.token_logprobs import with_logprobs
from personae.inference.server.warm_up import WarmEngine, WarmServer

_DEFAULT_TOKENS = 512
_SEEDS = 2**62

routes = APIRouter(prefix="/v1", route_class=TextRoute)


class TextPart(Wire):
    """One part of a message's content; only text is supported."""

    type: Literal["text"]
    text: str


class ChatMessage(Wire):
    """One message; ``developer`` is OpenAI's newer name for ``system``."""

    role: Literal["system", "developer", "user", "assistant"]
    content: str | list[TextPart]
    name: str | None = None


class TextFormat(Wire):
    """The only supported format of an answer."""

    type: Literal["text"]


class ChatRequest(Wire):
    """The body of /v1/chat/completions, with the extensions of this server."""

    model: str
    messages: list[ChatMessage] = Field(min_length=1)
    temperature: float | None = Field(default=None, ge=0, le=2)
    top_p: float | None = Field(default=None, gt=0, le=1)
    max_tokens: int | None = Field(default=None, ge=1)
    max_completion_tokens: int | None = Field(default=None, ge=1)
    seed: int | None = Field(default=None, ge=0, lt=_SEEDS)
    n: int = Field(default=1, ge=1, le=128)
    stop: str | list[str] | None = None
    stream: bool = False
    interventions: list[Intervention] = Field(default_factory=list)
    vectors: dict[str, Vector] = Field(default_factory=dict)
    # Common clients send these with values that have no effect.
    stream_options: dict[str, Any] | None = None
    frequency_penalty: Literal[0] | None = None
    presence_penalty: Literal[0] | None = None
    logprobs: bool | None = None
    top_logprobs: Literal[0] | None = None
    logit_bias: Annotated[dict[str, Any], Field(max_length=0)] | None = None
    tools: Annotated[list[Any], Field(max_length=0)] | None = None
    tool_choice: Literal["none", "auto"] | None = None
    parallel_tool_calls: bool | None = None
    response_format: TextFormat | None = None
    metadata: dict[str, str] | None = None
    store: Literal[False] | None = None
    user: str | None = None


class EmbeddingsRequest(Wire):
    """The body of /v1/embeddings."""

    model: str
    input: str | Annotated[list[str], Field(min_length=1)]
    encoding_format: Literal["float", "base64"] = "float"
    user: str | None = None


@routes.get("/models")
async def models(warm: WarmServer) -> dict[str, Any]:
    """List the chat model and, if there is one, the embedder."""
    info = warm.loading.engine.info()
    names = dict.fromkeys(n for n in (warm.name, info.model, _embedder_name(info)) if n)
    data = [{"id": name, "object": "model", "created": 0, "owned_by": "personae"} for name in names]
    return {"object": "list", "data": data}


@routes.post("/chat/completions")
async def chat_completions(body: ChatRequest, request: Request, warm: WarmServer) -> Response:
    """Generate ``n`` answers to a conversation."""
    engine = warm.loading.engine
    _require_name(body.model, warm.name, engine.info().model)
    wanted = _engine_request(body)
    if body.stream and body.logprobs:
        raise RequestError("logprobs are not supported in a stream; leave out one of them")
    if body.stream:
        return await _streamed(body, wanted, request, warm)

    def work(ticket: DeviceTicket) -> tuple[list[GeneratedResponse], list[Any]]:
        if body.logprobs:
            return with_logprobs(engine, wanted, ticket.check)
        # Results arrive as they finish; their ids are the numbers of the choices.
        results = engine.generate(wanted, lambda *_: ticket.check())
        found = sorted(results, key=lambda result: int(result.id))
        return found, [None] * len(found)

    results, logprobs = await warm.device.run(request, work)
    choices = [
        {**_choice(i, result, body.stop), "logprobs": of_tokens}
        for i, (result, of_tokens) in enumerate(zip(results, logprobs, strict=True))
    ]
    completion = {"object": "chat.completion", "choices": choices, "usage": _usage(results)}
    return JSONResponse({**_identity(body), **completion})


def _identity(body: ChatRequest) -> dict[str, Any]:
    identifier = f"chatcmpl-{secrets.token_hex(12)}"
    return {"id": identifier, "created": int(time.time()), "model": body.model}


async def _streamed(
    body: ChatRequest, wanted: GenerateRequest, request: Request, warm: WarmEngine
) -> Response:
    """Stream answers while they are generated."""
    engine = warm.loading.engine

    def work(emit: Callable[[PartialAnswer | dict[str, Any]], None]) -> None:
        results = []
        if isinstance(engine, StreamingBackend):
            found = engine.generate_streaming(
                wanted, lambda *_: None, lambda name, text: emit(PartialAnswer(int(name), text))
            )
        else:
            found = engine.generate(wanted, lambda *_: None)
        for result in found:
            results.append(result)
            end = {key: getattr(result, key) for key in ("finish_reason", "seed", "fired")}
            emit(PartialAnswer(int(result.id), result.text, end))
        if (body.stream_options or {}).get("include_usage"):
            emit(_usage(results))

    events = ChatEvents(_identity(body), _marks(body.stop))
    return await warm.device.stream_as(request, events, work)


@routes.post("/embeddings")
async def embeddings(body: EmbeddingsRequest, request: Request, warm: WarmServer) -> Response:
    """Embed one text or several."""
    engine = warm.loading.engine
    _require_name(body.model, _embedder_name(engine.info()))
    texts = [body.input] if isinstance(body.input, str) else body.input
    vectors = await warm.device.run(request, lambda _: engine.embed(texts))
    data = [
        {"object": "embedding", "index": i, "embedding": _encoded(vector, body.encoding_format)}
        for i, vector in enumerate(vectors)
    ]
    # The embedder does not count tokens.
    usage = {"prompt_tokens": 0, "total_tokens": 0}
    return JSONResponse({"object": "list", "model": body.model, "data": data, "usage": usage})


def _embedder_name(info: EngineInfo) -> str:
    return Path(info.embedder).name if info.embedder else ""


def _require_name(asked: str, *served: str) -> None:
    if not asked or asked not in served:
        raise UnknownModelError(f"model {asked!r} is not served here; GET /v1/models lists what is")


def _engine_request(body: ChatRequest) -> GenerateRequest:
    """Return the engine's request; without a seed, one is drawn."""
    seed = secrets.randbelow(_SEEDS) if body.seed is None else body.seed
    messages = [_engine_message(message) for message in body.messages]
    rows = [
        GenerateRow(id=str(i), messages=messages, seed=seed + i, interventions=body.interventions)
        for i in range(body.n)
    ]
    # OpenAI's defaults, not this project's.
    sampling = Sampling(
        temperature=1.0 if body.temperature is None else body.temperature,
        top_p=1.0 if body.top_p is None else body.top_p,
        max_new_tokens=body.max_completion_tokens or body.max_tokens or _DEFAULT_TOKENS,
    )
    try:
        return GenerateRequest(rows=rows, sampling=sampling, vectors=body.vectors)
    except ValidationError as error:
        raise RequestError(first_problem(error.errors())) from None


def _engine_message(message: ChatMessage) -> Message:
    content = message.content
    text = content if isinstance(content, str) else "".join(part.text for part in content)
    return Message(role="system" if message.role == "developer" else message.role, content=text)


def _choice(index: int, result: GeneratedResponse, stop: str | list[str] | None) -> dict[str, Any]:
    """Return one answer; ``stop`` cuts the text, though its tokens were generated."""
    text = cut(result.text, _marks(stop))
    reason = result.finish_reason if text == result.text else "stop"
    return {
        "index": index,
        "message": {"role": "assistant", "content": text},
        "finish_reason": reason,
        # Not in OpenAI's format: the seed, and how often interventions acted.
        "seed": result.seed,
        "fired": result.fired,
    }


def _marks(stop: str | list[str] | None) -> list[str]:
    return [stop] if isinstance(stop, str) else stop or []


def _usage(results: Sequence[GeneratedResponse]) -> dict[str, int]:
    prompt = len(results[0].prompt_ids)
    completion = sum(len(result.response_ids) for result in results)
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
    }


def _encoded(vector: NDArray[np.float32], encoding: Literal["float", "base64"]) -> Any:
    return vector.tolist() if encoding == "float" else pack_vector(vector)
