"""The properties of a loaded chat model that both engines use, and checks of requests.

The checks run before any work starts, and each error names the row and the value. They are the same
for both engines, and so are the token ids that a row is rendered to.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray
from transformers import PreTrainedTokenizerBase

from personae.api.requests import ActivationsRequest, GenerateRow, LikelihoodRow
from personae.inference.chat_templates import raw_prompt, render_continuation, render_prompt
from personae.inference.engine_errors import RequestError

Vectors = Mapping[str, NDArray[np.float32]]
"""float32 [hidden] by name."""


class ChatModel(Protocol):
    """A loaded chat model, whichever engine runs it.

    ``max_length`` is the longest sequence that it accepts; ``stop_ids`` are the tokens that end a
    turn.
    """

    @property
    def tokenizer(self) -> PreTrainedTokenizerBase: ...
    @property
    def n_layers(self) -> int: ...
    @property
    def hidden_size(self) -> int: ...
    @property
    def vocab_size(self) -> int: ...
    @property
    def max_length(self) -> int: ...
    @property
    def stop_ids(self) -> frozenset[int]: ...


class ScoredTokens(NamedTuple):
    """The token ids of a likelihood row: its prompt, and the continuation to score."""

    prompt: list[int]
    continuation: list[int]


def check_ids(model: ChatModel, name: str, ids: Sequence[int]) -> None:
    """Refuse a row with token ids that the model does not have.

    On a GPU, looking up such an id breaks the whole process and not just the request.
    """
    if not 0 <= min(ids) <= max(ids) < model.vocab_size:
        raise RequestError(f"row {name!r}: token ids outside 0 to {model.vocab_size - 1}")


def check_layer(model: ChatModel, layer: int) -> None:
    """Refuse a layer that the model does not have."""
    if not 0 <= layer < model.n_layers:
        raise RequestError(f"layer {layer}: the model has layers 0 to {model.n_layers - 1}")


def prompt_of(model: ChatModel, row: GenerateRow, max_new_tokens: int) -> list[int]:
    """Render the prompt of a row that may get ``max_new_tokens``, and check its length and ids."""
    prompt = _prompt_ids(model, row)
    if len(prompt) + max_new_tokens > model.max_length:
        raise RequestError(
            f"row {row.id!r}: {len(prompt)} prompt tokens and {max_new_tokens} new ones exceed "
            f"the model's {model.max_length}"
        )
    check_ids(model, row.id, prompt)
    return prompt


def _prompt_ids(model: ChatModel, row: GenerateRow | LikelihoodRow) -> list[int]:
    if isinstance(row.prompt, list):
        return row.prompt
    if row.prompt is not None:
        return raw_prompt(model.tokenizer, row.prompt)
    return render_prompt(model.tokenizer, row.messages)


def scored_ids(model: ChatModel, row: LikelihoodRow) -> ScoredTokens:
    """Tokenise a prompt and its continuation, and check their length and ids."""
    if row.continuation is not None:
        prompt, continuation = render_continuation(model.tokenizer, row.messages, row.continuation)
    else:
        prompt = _prompt_ids(model, row)
        continuation = list(row.continuation_ids or ())
    if not (prompt and len(prompt) + len(continuation) <= model.max_length):
        raise RequestError(
            f"row {row.id!r}: {len(prompt)} prompt tokens (at least 1) and {len(continuation)} of "
            f"the continuation do not fit the model's {model.max_length}"
        )
    check_ids(model, row.id, (*prompt, *continuation))
    return ScoredTokens(prompt, continuation)


def layers_of(model: ChatModel, request: ActivationsRequest) -> Sequence[int]:
    """Return the layers to extract; refuse layers, lengths and ids that are not the model's."""
    layers = range(model.n_layers) if request.layers is None else request.layers
    for layer in layers:
        check_layer(model, layer)
    for row in request.rows:
        if len(row.token_ids) > model.max_length:
            length, most = len(row.token_ids), model.max_length
            raise RequestError(f"row {row.id!r}: {length} tokens exceed the model's {most}")
        check_ids(model, row.id, row.token_ids)
    return layers


def direction_of(vectors: Vectors, name: str, raw: bool, model: ChatModel) -> NDArray[np.float32]:
    """Check a vector; return it raw, or scaled to unit norm (computed in float64).

    Returns
    -------
    NDArray
        float32 [hidden].
    """
    vector = vectors[name]
    if vector.shape != (model.hidden_size,):
        size = model.hidden_size
        raise RequestError(f"vector {name!r} has shape {vector.shape}, the model needs ({size},)")
    if raw:
        return vector
    wide = vector.astype(np.float64)
    norm = np.linalg.norm(wide)
    if norm == 0:
        raise RequestError(f"vector {name!r} is zero: it has no direction to cap or ablate along")
    return (wide / norm).astype(np.float32)
