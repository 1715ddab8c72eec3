"""The engine as one object: what the model server calls.

One model, one embedder, one device. It does no locking: callers run one operation at a time.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from personae.api.requests import (
    ActivationsRequest,
    EngineInfo,
    EngineSpec,
    GenerateRequest,
    LikelihoodRequest,
    LikelihoodResult,
    RenderedChat,
    RenderRequest,
)
from personae.inference.chat_templates import render_chat
from personae.inference.engine_errors import RequestError
from personae.inference.sentence_embedder import Embedder
from personae.inference.torch_engine.activations import SpanActivation, activations
from personae.inference.torch_engine.generation import GenerationResult, Hear, generate
from personae.inference.torch_engine.likelihood import loglikelihood
from personae.inference.torch_engine.model_loading import LoadedModel, load_model

Progress = Callable[[int, int], None]


class Engine:
    """Everything a node asks of a model.

    Parameters
    ----------
    spec
        Model and embedder folders, dtype, device, threads, batch size.

    Raises
    ------
    ModelError
        If the model cannot be loaded as asked.
    """

    def __init__(self, spec: EngineSpec) -> None:
        if spec.threads is not None:
            torch.set_num_threads(spec.threads)
        self.spec = spec
        self.loaded: LoadedModel = load_model(Path(spec.model), spec.dtype, spec.device)
        self.counters: Counter[str] = Counter()

    @cached_property
    def _embedder(self) -> Embedder:
        if self.spec.embedder is None:
            raise RequestError("this engine was started without an embedder")
        return Embedder(Path(self.spec.embedder))

    def generate(
        self, request: GenerateRequest, progress: Progress | None = None
    ) -> Iterator[GenerationResult]:
        """See `personae.inference.torch_engine.generation.generate`."""
        yield from self.generate_aloud(request, progress)

    def generate_aloud(
        self, request: GenerateRequest, progress: Progress | None = None, hear: Hear | None = None
    ) -> Iterator[GenerationResult]:
        """As `generate`, and ``hear`` is told the text of every row while it grows."""
        limit = self.spec.max_batch_tokens
        for result in generate(self.loaded, request, limit, progress, hear):
            self.counters["responses"] += 1
            self.counters["response_tokens"] += len(result.response_ids)
            yield result

    def activations(
        self, request: ActivationsRequest, progress: Progress | None = None
    ) -> Iterator[SpanActivation]:
        """See `personae.inference.torch_engine.activations.activations`."""
        for result in activations(self.loaded, request, self.spec.max_batch_tokens, progress):
            self.counters["spans"] += 1
            yield result

    def loglikelihood(
        self, request: LikelihoodRequest, progress: Progress | None = None
    ) -> Iterator[LikelihoodResult]:
        """See `personae.inference.torch_engine.likelihood.loglikelihood`."""
        for result in loglikelihood(self.loaded, request, self.spec.max_batch_tokens, progress):
            self.counters["continuations"] += 1
            yield result

    def render(self, request: RenderRequest) -> list[RenderedChat]:
        """See `personae.inference.chat_templates.render_chat`."""
        return [render_chat(self.loaded.tokenizer, row) for row in request.rows]

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """See `personae.inference.sentence_embedder.Embedder.embed`."""
        self.counters["embeddings"] += len(texts)
        return self._embedder.embed(texts)

    def info(self) -> EngineInfo:
        """Say what is loaded, on what, and what it has done so far."""
        loaded, manifest = self.loaded, self.loaded.manifest
        assert manifest is not None, "a model loaded from a folder has its manifest"
        return EngineInfo(
            model=manifest.id,
            revision=manifest.revision,
            weights_digest=manifest.weights_digest,
            n_layers=loaded.n_layers,
            hidden_size=loaded.hidden_size,
            max_length=loaded.max_length,
            dtype=str(loaded.dtype).removeprefix("torch."),
            device=str(loaded.device),
            embedder=self.spec.embedder,
            versions={name: version(name) for name in ("torch", "transformers", "tokenizers")},
            pid=os.getpid(),
            counters=dict(self.counters),
        )
