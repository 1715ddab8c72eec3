"""The interface between the server and its engine.

`torch_engine.engine.Engine` and `vllm_engine.vllm_backend.VllmEngine` implement it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from personae.api.requests import (
    ActivationsRequest,
    EngineInfo,
    GenerateRequest,
    LikelihoodRequest,
    LikelihoodResult,
    RenderedChat,
    RenderRequest,
)

OnProgress = Callable[[int, int], None]
"""Called between batches with the numbers of finished and of all rows; raises to end the work."""


Hear = Callable[[str, str], None]
"""Called with the id of a row and its text so far."""


class GeneratedResponse(Protocol):
    """One generated response; ``response_ids`` exclude the end token."""

    @property
    def id(self) -> str: ...
    @property
    def prompt_ids(self) -> Sequence[int]: ...
    @property
    def response_ids(self) -> Sequence[int]: ...
    @property
    def text(self) -> str: ...
    @property
    def finish_reason(self) -> str: ...
    @property
    def seed(self) -> int: ...
    @property
    def system_inserted(self) -> str: ...
    @property
    def fired(self) -> int: ...


class SpanMeans(Protocol):
    """Means over one span of one row: ``vectors`` is float32 ``[requested layers, hidden]``."""

    @property
    def id(self) -> str: ...
    @property
    def span(self) -> str: ...
    @property
    def n_tokens(self) -> int: ...
    @property
    def vectors(self) -> NDArray[np.float32]: ...


@runtime_checkable
class StreamingBackend(Protocol):
    """An engine that can report the text of a response while it is generated."""

    def generate_streaming(
        self, request: GenerateRequest, progress: OnProgress, hear: Hear
    ) -> Iterable[GeneratedResponse]: ...


class Backend(Protocol):
    """An engine with its model loaded; called from one thread."""

    def info(self) -> EngineInfo: ...

    def generate(
        self, request: GenerateRequest, progress: OnProgress
    ) -> Iterable[GeneratedResponse]: ...

    def activations(
        self, request: ActivationsRequest, progress: OnProgress
    ) -> Iterable[SpanMeans]: ...

    def loglikelihood(
        self, request: LikelihoodRequest, progress: OnProgress
    ) -> Iterable[LikelihoodResult]: ...

    def render(self, request: RenderRequest) -> Sequence[RenderedChat]: ...

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]: ...
