"""Common parts of both engines: render conversations, embed texts, describe the model."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from personae.api.requests import EngineInfo, EngineSpec, RenderedChat, RenderRequest
from personae.inference.chat_model import ChatModel
from personae.inference.chat_templates import render_chat
from personae.inference.engine_errors import RequestError
from personae.inference.sentence_embedder import Embedder
from personae.inference.weights_manifest import Manifest

_VERSIONS = ("torch", "transformers", "tokenizers")


class RunningModel(ChatModel, Protocol):
    """A chat model with its manifest, loaded on a device."""

    @property
    def manifest(self) -> Manifest | None: ...
    @property
    def dtype(self) -> torch.dtype: ...
    @property
    def device(self) -> torch.device: ...


class EngineBase:
    """Holds the specification, the counters and the embedder of an engine.

    Parameters
    ----------
    spec
        Requested model, dtype, device and limits.
    loaded
        The model that it runs.
    name
        Kind and version, such as ``"torch 2.13.0"``.
    """

    def __init__(self, spec: EngineSpec, loaded: RunningModel, name: str) -> None:
        self.spec, self.name = spec, name
        self._running = loaded
        self.counters: Counter[str] = Counter()

    @cached_property
    def _embedder(self) -> Embedder:
        if self.spec.embedder is None:
            raise RequestError("this engine was started without an embedder")
        return Embedder(Path(self.spec.embedder))

    def render(self, request: RenderRequest) -> list[RenderedChat]:
        """See `personae.inference.chat_templates.render_chat`."""
        return [render_chat(self._running.tokenizer, row) for row in request.rows]

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """See `personae.inference.sentence_embedder.Embedder.embed`."""
        self.counters["embeddings"] += len(texts)
        return self._embedder.embed(texts)

    def info(self) -> EngineInfo:
        """Say what is loaded, on what, and what it has done so far."""
        loaded, manifest = self._running, self._running.manifest
        assert manifest is not None, "a model loaded from a folder has its manifest"
        return EngineInfo(
            engine=self.name,
            model=manifest.id,
            revision=manifest.revision,
            weights_digest=manifest.weights_digest,
            n_layers=loaded.n_layers,
            hidden_size=loaded.hidden_size,
            max_length=loaded.max_length,
            dtype=str(loaded.dtype).removeprefix("torch."),
            device=str(loaded.device),
            embedder=self.spec.embedder,
            versions={name: version(name) for name in _VERSIONS},
            pid=os.getpid(),
            counters=dict(self.counters),
        )
