"""Helpers that write requests, and plain transformers' answers to them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from personae.api.requests import (
    GenerateRequest,
    GenerateRow,
    Intervention,
    LikelihoodRequest,
    LikelihoodResult,
    Message,
    Sampling,
)
from personae.api.wire_encoding import pack_vector
from personae.inference.chat_templates import render_prompt
from personae.inference.engine_errors import RequestError
from personae.inference.torch_engine.generation import GenerationResult
from personae.inference.torch_engine.generation import generate as generating
from personae.inference.torch_engine.likelihood import loglikelihood as scoring
from personae.inference.torch_engine.model_loading import LoadedModel

_Result = TypeVar("_Result")

GREEDY = Sampling(temperature=0, max_new_tokens=12)


def user(text: str) -> list[Message]:
    """Return one user turn."""
    return [Message(role="user", content=text)]


def prompts(count: int) -> list[list[Message]]:
    """Return user turns of very different lengths, longer than a tiny sliding window too."""
    return [user(f"{i} " + "why so? " * ((7 * i) % 5) + chr(97 + i % 26)) for i in range(count)]


def generate_rows(
    turns: Sequence[Sequence[Message]],
    interventions: Mapping[int, Sequence[Intervention]] | None = None,
) -> list[GenerateRow]:
    """Return rows whose id and seed are their number."""
    chosen = interventions or {}
    return [
        GenerateRow(id=f"r{i}", seed=i, messages=list(t), interventions=list(chosen.get(i, ())))
        for i, t in enumerate(turns)
    ]


def generate_request(
    rows: Sequence[GenerateRow],
    sampling: Sampling = GREEDY,
    vectors: Mapping[str, NDArray[np.float32]] | None = None,
) -> GenerateRequest:
    """Return a request, its vectors packed."""
    packed = {name: pack_vector(v) for name, v in (vectors or {}).items()}
    return GenerateRequest(rows=list(rows), sampling=sampling, vectors=packed)


def generate(
    loaded: LoadedModel, request: GenerateRequest, *limits: int, **options: Any
) -> list[GenerationResult]:
    """Return the responses in the order of the request."""
    found = {result.id: result for result in generating(loaded, request, *limits, **options)}
    return [found[row.id] for row in request.rows]


def loglikelihood(
    loaded: LoadedModel, request: LikelihoodRequest, *limits: int, **options: Any
) -> list[LikelihoodResult]:
    """Return the scores in the order of the request."""
    found = {result.id: result for result in scoring(loaded, request, *limits, **options)}
    return [found[row.id] for row in request.rows]


def until_refused(results: Iterable[_Result]) -> tuple[list[_Result], RequestError]:
    """Return the results before the request was refused, which it must be, and the error."""
    found = []
    try:
        for result in results:
            found.append(result)
    except RequestError as error:
        return found, error
    raise AssertionError("the request was not refused")


@contextmanager
def plain_attention(loaded: LoadedModel) -> Iterator[None]:
    """Run the model with transformers' own attention."""
    chosen = loaded.model.config._attn_implementation
    loaded.model.set_attn_implementation("eager" if chosen == "eager" else "sdpa")
    try:
        yield
    finally:
        loaded.model.set_attn_implementation(chosen)


def reference_greedy(
    loaded: LoadedModel, messages: Sequence[Message], max_new_tokens: int
) -> list[int]:
    """Return what transformers' own ``generate`` answers to one prompt, alone and unpadded."""
    ids = torch.tensor([render_prompt(loaded.tokenizer, messages)], device=loaded.device)
    model: Any = loaded.model
    stop = sorted(loaded.stop_ids)
    with plain_attention(loaded):
        output = model.generate(
            ids, do_sample=False, max_new_tokens=max_new_tokens, eos_token_id=stop, pad_token_id=0
        )
    tokens: list[int] = output[0, ids.shape[1] :].tolist()
    return tokens[:-1] if tokens[-1] in loaded.stop_ids else tokens
