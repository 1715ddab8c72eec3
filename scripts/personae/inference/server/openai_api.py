"""The OpenAI-compatible interface: any chat client can use a steered or capped model.

A model's name may say what is done to it, as in `personae.inference.server.presets`; the fields
``interventions`` and ``vectors`` of a request, as in `personae.api.requests`, replace that. What is
not offered is refused, not ignored. A streamed reply comes token by token from an engine that can
tell them, else when an answer is complete.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response
from numpy.typing import NDArray

from personae.api.requests import EngineInfo, GenerateRequest
from personae.api.wire_encoding import pack_vector
from personae.inference.engine_errors import RequestError, UnknownModelError
from personae.inference.server.backend import GeneratedResponse, StreamingBackend
from personae.inference.server.chat_requests import (
    ChatRequest,
    CompletionRequest,
    EmbeddingsRequest,
    engine_request,
)
from personae.inference.server.chat_stream import ChatEvents, PartialAnswer, TextEvents, cut
from personae.inference.server.device_queue import DeviceTicket
from personae.inference.server.text_route import TextRoute
from personae.inference.server.token_logprobs import (
    echoed_logprobs,
    require_all_positions,
    with_logprobs,
)
from personae.inference.server.warm_up import WarmEngine, WarmServer

routes = APIRouter(prefix="/v1", route_class=TextRoute)


@routes.get("/models")
async def models(warm: WarmServer) -> dict[str, Any]:
    """List the chat model, its presets and, if there is one, the embedder.

    The first entry also says, as ``default``, under which settings its plain name is served.
    """
    info = warm.loading.engine.info()
    presets = [f"{warm.name or info.model}+{setting}" for setting in warm.presets.offered]
    names = dict.fromkeys(n for n in (warm.name, info.model, *presets, _embedder_name(info)) if n)
    data = [{"id": name, "object": "model", "created": 0, "owned_by": "personae"} for name in names]
    first = {**data[0], "default": warm.presets.default}
    return {"object": "list", "data": [first, *data[1:]]}


@routes.post("/chat/completions")
async def chat_completions(body: ChatRequest, request: Request, warm: WarmServer) -> Response:
    """Generate ``n`` answers to a conversation."""
    wanted = engine_request(body, _settings(body.model, warm), warm.presets)
    if body.stream and body.logprobs:
        raise RequestError("logprobs are not supported in a stream; leave out one of them")
    if body.stream:
        return await _streamed(body, wanted, request, warm)
    engine = warm.loading.engine

    def work(ticket: DeviceTicket) -> tuple[list[GeneratedResponse], list[Any]]:
        if body.logprobs:
            return with_logprobs(engine, wanted, ticket.check)
        found = _answers(warm, wanted, ticket)
        return found, [None] * len(found)

    results, logprobs = await warm.device.run(request, work)
    choices = [
        {**_choice(i, result, body.marks), "logprobs": of_tokens}
        for i, (result, of_tokens) in enumerate(zip(results, logprobs, strict=True))
    ]
    completion = {"object": "chat.completion", "choices": choices, "usage": _usage(results, body.n)}
    return JSONResponse({**_identity(body), **completion})


@routes.post("/completions")
async def completions(body: CompletionRequest, request: Request, warm: WarmServer) -> Response:
    """Continue every prompt ``n`` times; the chat template has no part in it.

    Log-probabilities come with ``echo`` only: of every token of prompt and response.
    """
    wanted = engine_request(body, _settings(body.model, warm), warm.presets)
    if body.stream and body.echo:
        raise RequestError("echo is not supported in a stream; leave out one of them")
    if body.logprobs is not None and not body.echo:
        raise RequestError("logprobs of plain completions need echo; set echo to true")
    if body.stream:
        return await _streamed(body, wanted, request, warm)
    if body.echo:
        require_all_positions(wanted)
    engine = warm.loading.engine

    def work(ticket: DeviceTicket) -> tuple[list[GeneratedResponse], list[Any]]:
        found = _answers(warm, wanted, ticket)
        if body.logprobs is None:
            return found, [None] * len(found)
        return found, echoed_logprobs(engine, wanted, found, ticket.check)

    results, logprobs = await warm.device.run(request, work)
    choices = []
    for i, (result, of_tokens) in enumerate(zip(results, logprobs, strict=True)):
        choice = _choice(i, result, body.marks)
        text = choice.pop("message")["content"]
        if body.echo:
            prompt = wanted.rows[i].prompt
            text = f"{prompt if isinstance(prompt, str) else ''}{text}"
        choices.append({**choice, "text": text, "logprobs": of_tokens})
    completion = {"object": "text_completion", "choices": choices, "usage": _usage(results, body.n)}
    return JSONResponse({**_identity(body), **completion})


def _answers(
    warm: WarmEngine, wanted: GenerateRequest, ticket: DeviceTicket
) -> list[GeneratedResponse]:
    """Return the answers in order; they come as they finish, with their numbers as ids."""
    found = warm.loading.engine.generate(wanted, lambda *_: ticket.check())
    return sorted(found, key=lambda result: int(result.id))


def _settings(asked: str, warm: WarmEngine) -> str:
    """Return what a model's name says beside the model."""
    model, _, settings = asked.partition("+")
    _require_name(model, warm.name, warm.loading.engine.info().model)
    return settings


def _identity(body: ChatRequest | CompletionRequest) -> dict[str, Any]:
    kind = "chatcmpl" if isinstance(body, ChatRequest) else "cmpl"
    identifier = f"{kind}-{secrets.token_hex(12)}"
    return {"id": identifier, "created": int(time.time()), "model": body.model}


async def _streamed(
    body: ChatRequest | CompletionRequest,
    wanted: GenerateRequest,
    request: Request,
    warm: WarmEngine,
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
            emit(_usage(results, body.n))

    kind = ChatEvents if isinstance(body, ChatRequest) else TextEvents
    return await warm.device.stream_as(request, kind(_identity(body), body.marks), work)


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


def _choice(index: int, result: GeneratedResponse, marks: Sequence[str]) -> dict[str, Any]:
    """Return one answer; ``marks`` cut the text, though its tokens were generated."""
    text = cut(result.text, marks)
    reason = result.finish_reason if text == result.text else "stop"
    return {
        "index": index,
        "message": {"role": "assistant", "content": text},
        "finish_reason": reason,
        # Not in OpenAI's format: the seed, and how often interventions acted.
        "seed": result.seed,
        "fired": result.fired,
    }


def _usage(results: Sequence[GeneratedResponse], n: int) -> dict[str, int]:
    """Return the numbers of tokens; a prompt with ``n`` answers counts once."""
    prompt = sum(len(result.prompt_ids) for result in results) // n
    completion = sum(len(result.response_ids) for result in results)
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
    }


def _encoded(vector: NDArray[np.float32], encoding: Literal["float", "base64"]) -> Any:
    return vector.tolist() if encoding == "float" else pack_vector(vector)
