"""The torch engine as one object, which the model server calls.

One model, one embedder, one device. It does not lock: callers run one operation at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path

import torch

from personae.api.requests import (
    ActivationsRequest,
    EngineSpec,
    GenerateRequest,
    LikelihoodRequest,
    LikelihoodResult,
)
from personae.inference.engine_base import EngineBase
from personae.inference.torch_engine.activations import SpanActivation, activations
from personae.inference.torch_engine.batch_limit import batch_tokens
from personae.inference.torch_engine.generation import GenerationResult, Hear, generate
from personae.inference.torch_engine.likelihood import loglikelihood
from personae.inference.torch_engine.model_loading import LoadedModel, load_model
from personae.inference.torch_engine.recorded_steps import step_recorder

Progress = Callable[[int, int], None]


class Engine(EngineBase):
    """Generation, extraction and likelihood by one model, with interventions.

    Parameters
    ----------
    spec
        Model and embedder folders, dtype, device, threads, batch size.
    adapter
        Folder of a PEFT adapter whose weights are added to the model's.

    Raises
    ------
    ModelError
        If the model cannot be loaded with these settings.
    """

    def __init__(self, spec: EngineSpec, adapter: Path | None = None) -> None:
        if spec.threads is not None:
            torch.set_num_threads(spec.threads)
        self.loaded: LoadedModel = load_model(Path(spec.model), spec.dtype, spec.device, adapter)
        self._recorder = step_recorder(self.loaded) if spec.cuda_graphs else None
        super().__init__(spec, self.loaded, f"torch {version('torch')}")

    def generate(
        self, request: GenerateRequest, progress: Progress | None = None
    ) -> Iterator[GenerationResult]:
        """See `personae.inference.torch_engine.generation.generate`."""
        yield from self.generate_streaming(request, progress)

    def generate_streaming(
        self, request: GenerateRequest, progress: Progress | None = None, hear: Hear | None = None
    ) -> Iterator[GenerationResult]:
        """Like `generate`; ``hear`` is called with the text of every row as it grows."""
        limit = batch_tokens(self.loaded, self.spec.max_batch_tokens)
        for result in generate(self.loaded, request, limit, progress, hear, self._recorder):
            self.counters["responses"] += 1
            self.counters["response_tokens"] += len(result.response_ids)
            yield result

    def activations(
        self, request: ActivationsRequest, progress: Progress | None = None
    ) -> Iterator[SpanActivation]:
        """See `personae.inference.torch_engine.activations.activations`."""
        limit = batch_tokens(self.loaded, self.spec.max_batch_tokens)
        for result in activations(self.loaded, request, limit, progress):
            self.counters["spans"] += 1
            yield result

    def loglikelihood(
        self, request: LikelihoodRequest, progress: Progress | None = None
    ) -> Iterator[LikelihoodResult]:
        """See `personae.inference.torch_engine.likelihood.loglikelihood`."""
        limit = batch_tokens(self.loaded, self.spec.max_batch_tokens)
        for result in loglikelihood(self.loaded, request, limit, progress):
            self.counters["continuations"] += 1
            yield result
