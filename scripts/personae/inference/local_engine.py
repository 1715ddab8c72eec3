"""The calls of a model server's client, on an engine in this process.

For models that no server holds, such as adapters that a node has just been given.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from personae.api.arrow_stream import GENERATED, activations_schema
from personae.api.requests import (
    ActivationRow,
    ActivationsRequest,
    GenerateRequest,
    GenerateRow,
    LikelihoodRequest,
    LikelihoodResult,
    LikelihoodRow,
    Sampling,
)
from personae.api.wire_encoding import pack_vector
from personae.inference.result_batches import generated_batch, means_batch
from personae.inference.server.backend import Backend

Vectors = Mapping[str, NDArray[np.floating]]


class LocalEngine:
    """Typed rows in, tables out; requests and results as those of `EngineClient`."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    def generate(
        self, rows: Sequence[GenerateRow], sampling: Sampling, vectors: Vectors | None = None
    ) -> pa.Table:
        """Generate one response per row, in their order."""
        request = GenerateRequest(rows=list(rows), sampling=sampling, vectors=_packed(vectors))
        found = {r.id: generated_batch(r) for r in self._backend.generate(request, _silent)}
        return pa.Table.from_batches([found[row.id] for row in rows], GENERATED)

    def activations(
        self,
        rows: Sequence[ActivationRow],
        vectors: Vectors | None = None,
        layers: Sequence[int] | None = None,
    ) -> pa.Table:
        """Extract the mean residual stream over spans, in the order of rows and spans."""
        chosen = None if layers is None else list(layers)
        request = ActivationsRequest(rows=list(rows), vectors=_packed(vectors), layers=chosen)
        info = self._backend.info()
        schema = activations_schema(info.hidden_size)
        at = chosen or list(range(info.n_layers))
        found = {
            (means.id, means.span): means_batch(means, at, schema)
            for means in self._backend.activations(request, _silent)
        }
        order = [found[row.id, span.name] for row in rows for span in row.spans]
        return pa.Table.from_batches(order, schema)

    def loglikelihood(
        self, rows: Sequence[LikelihoodRow], vectors: Vectors | None = None
    ) -> list[LikelihoodResult]:
        """Return the summed log-probability (nats) of each row's continuation, in order."""
        request = LikelihoodRequest(rows=list(rows), vectors=_packed(vectors))
        found = {r.id: r for r in self._backend.loglikelihood(request, _silent)}
        return [found[row.id] for row in rows]


def _packed(vectors: Vectors | None) -> dict[str, str]:
    named = (vectors or {}).items()
    return {name: pack_vector(np.asarray(vector, dtype=np.float32)) for name, vector in named}


def _silent(_done: int, _total: int) -> None:
    """Say nothing."""
