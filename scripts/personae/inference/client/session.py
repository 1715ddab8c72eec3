"""The client of a model server: typed rows in, tables and small records out; imports no torch."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter

from personae.api.requests import (
    ActivationRow,
    ActivationsRequest,
    EmbedRequest,
    EngineInfo,
    EngineSpec,
    GenerateRequest,
    GenerateRow,
    LikelihoodRequest,
    LikelihoodResult,
    LikelihoodRow,
    RenderedChat,
    RenderRequest,
    RenderRow,
    Sampling,
)
from personae.api.wire_encoding import pack_vector
from personae.inference.client.channel import Channel, ServerGoneError
from personae.inference.client.launch import Say
from personae.inference.client.row_cache import KeptRows, RequestBatches, RowsRequest
from personae.inference.engine_errors import EngineError, InterventionError

if TYPE_CHECKING:
    import pyarrow as pa

    from personae.api.arrow_stream import Heard

Vectors = Mapping[str, NDArray[np.floating]]

_SAY_EVERY = 10.0
# A request is abandoned after this many servers, one after another, ended during it.
_SERVERS = 2
_RENDERED = TypeAdapter(list[RenderedChat])


def connect(
    spec: EngineSpec, log: logging.Logger | Callable[[str], None] | None = None
) -> EngineClient:
    """Return a client of the model server for ``spec``, which is started if there is none.

    Parameters
    ----------
    spec
        The model, its numerics and limits; ``url`` names a server that another process runs.
    log
        Receives the progress of the load and of long requests.

    Raises
    ------
    EngineError
        If the server cannot start, load or be reached in time, or serves other weights than
        those in the folder ``spec.model``.
    PersonaeError
        If the workflow that started this process has ended.
    """
    say = log.info if isinstance(log, logging.Logger) else log
    client = EngineClient(Channel(spec, say or _silent), say or _silent)
    if spec.url:
        _require_same_weights(spec, client.info())
    return client


def _silent(_: str) -> None:
    """Ignore a message."""


def _require_same_weights(spec: EngineSpec, info: EngineInfo) -> None:
    """Raise an error if the server has other weights than the model that it is used for."""
    from personae.inference.weights_manifest import MANIFEST, Manifest

    path = Path(spec.model) / MANIFEST
    if not path.exists():
        return
    wanted = Manifest.model_validate_json(path.read_bytes())
    if wanted.weights_digest != info.weights_digest:
        raise EngineError(
            f"{spec.url} serves {info.model} with weights {info.weights_digest[:12]}, but "
            f"{spec.model} has weights {wanted.weights_digest[:12]}"
        )


class EngineClient:
    """Requests of a node to a model; a context manager whose exit leaves the server running.

    Every method raises `EngineError` with one line if the server refuses, fails or ends. The
    result of a request depends only on that request.
    """

    def __init__(self, channel: Channel, say: Say) -> None:
        self._channel, self._say = channel, say
        self._kept: KeptRows | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @contextmanager
    def keeping(self, rows: KeptRows) -> Iterator[None]:
        """Store rows as they arrive, in case the block fails; request no row that is stored."""
        self._kept = rows
        try:
            with rows:
                yield
        finally:
            self._kept = None

    def close(self) -> None:
        """Close the connections; the server keeps running."""
        self._channel.close()

    def generate(
        self, rows: Sequence[GenerateRow], sampling: Sampling, vectors: Vectors | None = None
    ) -> pa.Table:
        """Generate one response per row.

        Parameters
        ----------
        rows
            Messages, seed and interventions of each response.
        sampling
            Temperature, top-p and maximum length of all responses.
        vectors
            Vectors by the names that interventions use, float of shape ``[hidden]``.

        Returns
        -------
        pa.Table
            `personae.api.arrow_stream.GENERATED`, in the order of ``rows``.
        """
        request = GenerateRequest(rows=list(rows), sampling=sampling, vectors=_packed(vectors))
        return self._rows("/generate", request)

    def activations(
        self,
        rows: Sequence[ActivationRow],
        vectors: Vectors | None = None,
        layers: Sequence[int] | None = None,
    ) -> pa.Table:
        """Extract the mean residual stream over spans of token ids.

        Parameters
        ----------
        rows
            Token ids as saved at generation, and spans of them.
        vectors
            Vectors by the names that interventions use, float of shape ``[hidden]``.
        layers
            0-based; layer ``l`` is the residual stream after block ``l``. None is every layer.

        Returns
        -------
        pa.Table
            `personae.api.arrow_stream.activations_schema`, in the order of rows, spans and layers.
        """
        request = ActivationsRequest(
            rows=list(rows),
            vectors=_packed(vectors),
            layers=None if layers is None else list(layers),
        )
        return self._rows("/activations", request)

    def loglikelihood(
        self, rows: Sequence[LikelihoodRow], vectors: Vectors | None = None
    ) -> list[LikelihoodResult]:
        """Return the summed log-probability (nats) of each row's continuation, in order."""
        request = LikelihoodRequest(rows=list(rows), vectors=_packed(vectors))
        scored = self._rows("/loglikelihood", request).to_pylist()
        return [LikelihoodResult(**row) for row in scored]

    def render(self, rows: Sequence[RenderRow]) -> list[RenderedChat]:
        """Render conversations with the model's chat template, in order."""
        reply = self._channel.post("/render", RenderRequest(rows=list(rows)))
        return _RENDERED.validate_json(reply)

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return L2-normalised sentence embeddings, float32 ``[len(texts), size]``."""
        import pyarrow as pa

        from personae.data.vector_columns import to_matrix

        batches: list[pa.RecordBatch] = []
        listener = _Listener("/embed", self._say, batches.append)
        schema = self._channel.frames("/embed", EmbedRequest(texts=list(texts)), listener)
        return to_matrix(pa.Table.from_batches(batches, schema)["vector"])

    def info(self) -> EngineInfo:
        """Return the server's model, device, versions and counters."""
        return EngineInfo.model_validate_json(self._channel.get("/info"))

    def _rows(self, path: str, request: RowsRequest) -> pa.Table:
        """Post a request and return its table in the order of its rows."""
        import pyarrow as pa

        kept = self._kept.of(path, request) if self._kept else RequestBatches(request, {})
        if known := len(request.rows) - len(kept.rest().rows):
            self._say(f"{path}: {known} of {len(request.rows)} rows were computed before")
        try:
            schema = self._asked(path, kept)
        except EngineError as error:
            # Whether an intervention acted is checked over all rows of a request, so all are
            # redone.
            if InterventionError.__name__ in str(error):
                kept.forget()
            raise
        return pa.Table.from_batches(kept.all(), schema)

    def _asked(self, path: str, kept: RequestBatches) -> pa.Schema:
        """Request the rows that are missing, from a new server if the first one ends."""
        for left in reversed(range(_SERVERS)):
            try:
                return self._channel.frames(
                    path, kept.rest(), _Listener(path, self._say, kept.take)
                )
            except ServerGoneError as gone:
                if not left:
                    raise
                self._say(f"{gone}; asking a new server for the rest")
        raise AssertionError("the last server's error is raised")


class _Listener:
    """Passes batches on, reports progress every ten seconds, and raises the server's error."""

    def __init__(self, path: str, say: Say, take: Callable[[pa.RecordBatch], None]) -> None:
        self._path, self._say, self._take = path, say, take
        self._start = self._said = time.monotonic()

    def __call__(self, heard: Heard) -> None:
        from personae.api.arrow_stream import FrameError, Progress

        if isinstance(heard, FrameError):
            raise EngineError(f"{self._path}: {heard.type}: {heard.message}")
        if not isinstance(heard, Progress):
            self._take(heard)
            return
        now = time.monotonic()
        if now - self._said >= _SAY_EVERY:
            self._said = now
            self._say(f"{self._path}: {heard.done} of {heard.total} ({now - self._start:.0f} s)")


def _packed(vectors: Vectors | None) -> dict[str, Any]:
    return {name: pack_vector(vector) for name, vector in (vectors or {}).items()}
