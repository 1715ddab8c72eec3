"""The engine's typed requests and small replies; imports no torch.

Both the thin client in every node and the model server import this module.
Conventions:

* a *layer* ``l`` is 0-based and means the residual stream **after** decoder block ``l``;
* *positions* partition a sequence at ``n_prompt``, the length of the rendered prompt: below it
  is ``"prompt"``, from it on ``"response"``; ``"all"`` is both. ``"response_from_prompt_end"`` is
  the response and the last prompt token, from whose stream the first response token is drawn: what
  the reference code of Persona Vectors steers. Padding is never touched;
* *spans* are token indices, end exclusive, into the row's own ids (no padding);
* *vectors* travel as base64 of little-endian float32, see `personae.api.wire_encoding`.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Generic, Literal, Self, TypeVar

from pydantic import Field, FiniteFloat, model_validator

from personae.api.wire_encoding import Vector, Wire

Positions = Literal["response", "response_from_prompt_end", "prompt", "all"]
Operation = Literal["add", "cap", "ablate"]
EngineKind = Literal["auto", "torch", "vllm"]


class Message(Wire):
    """One chat message."""

    role: Literal["system", "user", "assistant"]
    content: str


class Sampling(Wire):
    """Sampling settings: temperature is applied first, then top-p."""

    temperature: FiniteFloat = Field(
        default=0.7, ge=0, description="Divides the logits; 0 is greedy decoding."
    )
    top_p: FiniteFloat = Field(
        default=0.9, gt=0, le=1, description="Keep the fewest tokens that reach this probability."
    )
    max_new_tokens: int = Field(default=48, ge=1, description="Most tokens of a response.")


class Intervention(Wire):
    """One operation on the residual stream ``h`` after block ``layer`` of one row.

    With ``u = v / |v|``: *add* is ``h + coefficient * v`` (v raw); *cap* ``h - u * min(<h, u> -
    floor, 0)``: only projections below the floor are raised, to the floor; *ablate* ``h - <h, u>
    u``. Interventions of one row at one layer apply in the order in which they are listed.
    """

    op: Operation
    layer: int = Field(ge=0)
    vector: str
    coefficient: FiniteFloat = 1.0
    floor: FiniteFloat = 0.0
    positions: Positions = "all"


class Span(Wire):
    """Token indices ``start <= i < end`` of one row."""

    name: str
    start: int = Field(ge=0)
    end: int

    @model_validator(mode="after")
    def _holds_tokens(self) -> Self:
        if self.end <= self.start:
            raise ValueError(f"span {self.name!r} [{self.start}, {self.end}) holds no token")
        return self


class RequestRow(Wire):
    """Fields that all rows of requests have."""

    id: str
    interventions: list[Intervention] = Field(default_factory=list)


class PromptedRow(RequestRow):
    """A row with a prompt: a conversation, or a text or token ids without a chat template."""

    messages: list[Message] = Field(default_factory=list)
    prompt: str | list[int] | None = Field(default=None, min_length=1)

    @model_validator(mode="after")
    def _one_prompt(self) -> Self:
        if bool(self.messages) == (self.prompt is not None):
            raise ValueError(f"row {self.id!r}: give messages or prompt, not both")
        return self


class GenerateRow(PromptedRow):
    """One response to generate after the prompt, with its own random stream."""

    seed: int = Field(ge=0, lt=2**63)
    max_new_tokens: int | None = Field(
        default=None, ge=1, description="Most tokens of this response, if not the sampling's."
    )


class ActivationRow(RequestRow):
    """Token ids, as saved at generation, and the spans whose means are wanted."""

    token_ids: list[int] = Field(min_length=1)
    n_prompt: int = Field(ge=0)
    spans: list[Span] = Field(min_length=1)

    @model_validator(mode="after")
    def _fits(self) -> Self:
        length = len(self.token_ids)
        if self.n_prompt > length:
            raise ValueError(f"row {self.id!r}: n_prompt {self.n_prompt} of {length} tokens")
        if len({span.name for span in self.spans}) < len(self.spans):
            raise ValueError(f"row {self.id!r}: two spans share a name")
        for name, end in ((span.name, span.end) for span in self.spans):
            if end > length:
                raise ValueError(f"row {self.id!r}: span {name!r} ends at {end} of {length} tokens")
        return self


class LikelihoodRow(PromptedRow):
    """A continuation (text or token ids, exactly one) to score after the prompt."""

    continuation: str | None = None
    continuation_ids: list[int] | None = None

    @model_validator(mode="after")
    def _one_continuation(self) -> Self:
        if (self.continuation is None) == (self.continuation_ids is None):
            raise ValueError(f"row {self.id!r}: give continuation or continuation_ids, not both")
        if not (self.continuation or self.continuation_ids):
            raise ValueError(f"row {self.id!r}: the continuation is empty")
        if self.prompt is not None and self.continuation is not None:
            raise ValueError(f"row {self.id!r}: a prompt without a template needs continuation_ids")
        return self


class RenderRow(Wire):
    """A conversation to render; it may hold several turns and end with the assistant's."""

    id: str
    messages: list[Message] = Field(min_length=1)
    pieces: bool = Field(default=False, description="Whether to tell the text of every token.")


_RowType = TypeVar("_RowType", bound=RequestRow)


class _RowsRequest(Wire, Generic[_RowType]):
    """Rows with unique ids whose interventions name vectors of the request."""

    rows: list[_RowType]
    vectors: dict[str, Vector] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        seen: set[str] = set()
        for row in self.rows:
            if row.id in seen:
                raise ValueError(f"two rows have the id {row.id!r}")
            seen.add(row.id)
            for intervention in row.interventions:
                if intervention.vector not in self.vectors:
                    known = sorted(self.vectors)
                    raise ValueError(
                        f"row {row.id!r}: no vector {intervention.vector!r}, only {known}"
                    )
        return self


class GenerateRequest(_RowsRequest[GenerateRow]):
    """Responses to generate under one sampling setting."""

    sampling: Sampling = Sampling()


class ActivationsRequest(_RowsRequest[ActivationRow]):
    """Span means to extract; ``layers`` None means all."""

    layers: list[int] | None = None


class LikelihoodRequest(_RowsRequest[LikelihoodRow]):
    """Continuations to score, with ``per_token`` token by token."""

    per_token: bool = False


class RenderRequest(Wire):
    """Conversations to render with the model's chat template."""

    rows: list[RenderRow]


class EmbedRequest(Wire):
    """Texts to embed."""

    texts: list[str]


class RenderedChat(Wire):
    """Ids and one span per assistant turn (``turn0``, ...): its content, no template token.

    ``system_inserted`` is the system message that the template added by itself, else empty.
    ``pieces`` has the text of every token, if asked for; joined, they are the rendered text.
    """

    id: str
    token_ids: list[int]
    turns: list[Span]
    system_inserted: str
    pieces: list[str] = Field(default_factory=list)


class LikelihoodResult(Wire):
    """Sum of natural-log probabilities of a continuation's ``n_tokens`` tokens.

    For requests with ``per_token`` also the log-probability of each of them, and that of the most
    likely token in its place.
    """

    id: str
    sum_logprob: float
    n_tokens: int
    logprobs: list[float] = Field(default_factory=list)
    best_logprobs: list[float] = Field(default_factory=list)


class EngineInfo(Wire):
    """The loaded model, its device and versions, and counters of its work."""

    engine: str = Field(default="torch", description="Kind and version, such as torch 2.13.0.")
    model: str
    revision: str
    weights_digest: str
    n_layers: int
    hidden_size: int
    max_length: int = Field(description="Most tokens of a prompt and its response together.")
    dtype: str
    device: str
    embedder: str | None
    versions: dict[str, str]
    pid: int
    counters: dict[str, int]


class EngineSpec(Wire):
    """The engine of a node; equal specs of one owner share one server."""

    model: str = Field(description="Folder of a prepared model.")
    embedder: str | None = Field(
        default=None, description="Folder of a prepared sentence embedder."
    )
    kind: EngineKind = Field(
        default="auto", description="auto: vllm where CUDA and vLLM are there, else torch."
    )
    dtype: Literal["auto", "float32", "bfloat16"] = Field(
        default="auto", description="auto: bfloat16 where the device is fast at it, else float32."
    )
    device: str = Field(default="auto", description="auto, cpu, cuda, cuda:1, ...")
    threads: int | None = Field(
        default=None, ge=1, description="CPU threads; None is torch's choice."
    )
    max_batch_tokens: int | None = Field(
        default=None,
        ge=1,
        description="torch: most tokens (rows x longest row) of one batch; None is 32,768 on a "
        "CPU, and on GPUs what their free memory holds.",
    )
    tensor_parallel: int = Field(default=1, ge=1, description="vLLM: GPUs that share every layer.")
    quantization: str | None = Field(
        default=None, description="vLLM: how weights are quantised as they are loaded."
    )
    gpu_share: float = Field(
        default=0.9, gt=0, le=1, description="vLLM: share of each GPU's memory that it takes."
    )
    cuda_graphs: bool = Field(
        default=True, description="Replay decoding steps as CUDA graphs, where a check passes."
    )
    max_length: int | None = Field(
        default=None, ge=2, description="vLLM: longest sequence; None is the model's own."
    )
    idle_seconds: float = Field(default=300, gt=0, description="An unowned server ends after this.")
    start_timeout: float = Field(
        default=600, gt=0, description="Most seconds to wait for the load."
    )
    url: str | None = Field(default=None, description="Use this running server; start none.")

    def digest(self) -> str:
        """Return 16 hex digits naming the server; waiting time and url do not enter."""
        folders = {
            "model": str(Path(self.model).resolve()),
            "embedder": self.embedder and str(Path(self.embedder).resolve()),
        }
        server = self.model_copy(update=folders).model_dump_json(exclude={"start_timeout", "url"})
        return hashlib.sha256(server.encode()).hexdigest()[:16]
