"""The calls of a model server's client, on an engine in this process.

For models that no server holds, such as adapters that a node has just been given.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from personae.api.arrow_stream import GENERATED, SCORED, activations_schema
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
from personae.inference.client.row_cache import KeptRows, RequestBatches, RowsRequest
from personae.inference.engine_errors import InterventionError
from personae.inference.result_batches import generated_batch, means_batch, scored_batch
from personae.inference.server.backend import Backend

Vectors = Mapping[str, NDArray[np.floating]]
LOG: Final = logging.getLogger("personae")


class LocalEngine:
    """Typed rows in, tables out; requests and results as those of `EngineClient`.

    Parameters
    ----------
    backend
        The engine.
    kept
        Stores rows as they are made and gives back those of an earlier attempt; None stores none.
    weights
        What tells this engine's weights from those of the others that share ``kept``, such as the
        name of an adapter.
    """

    def __init__(self, backend: Backend, kept: KeptRows | None = None, weights: str = "") -> None:
        self._backend, self._kept = backend, kept
        info = backend.info()
        self._key = json.dumps([info.weights_digest, info.dtype, info.engine, weights])

    def generate(
        self, rows: Sequence[GenerateRow], sampling: Sampling, vectors: Vectors | None = None
    ) -> pa.Table:
        """Generate one response per row, in their order."""
        request = GenerateRequest(rows=list(rows), sampling=sampling, vectors=_packed(vectors))

        def run(rest: GenerateRequest) -> Iterable[pa.RecordBatch]:
            return map(generated_batch, self._backend.generate(rest, _silent))

        return self._rows("/generate", request, run, GENERATED)

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

        def run(rest: ActivationsRequest) -> Iterable[pa.RecordBatch]:
            made = self._backend.activations(rest, _silent)
            return (means_batch(means, at, schema) for means in made)

        return self._rows("/activations", request, run, schema)

    def loglikelihood(
        self, rows: Sequence[LikelihoodRow], vectors: Vectors | None = None
    ) -> list[LikelihoodResult]:
        """Return the summed log-probability (nats) of each row's continuation, in order."""
        request = LikelihoodRequest(rows=list(rows), vectors=_packed(vectors))

        def run(rest: LikelihoodRequest) -> Iterable[pa.RecordBatch]:
            return map(scored_batch, self._backend.loglikelihood(rest, _silent))

        scored = self._rows("/loglikelihood", request, run, SCORED)
        return [LikelihoodResult(**row) for row in scored.to_pylist()]

    def _rows(
        self,
        path: str,
        request: RowsRequest,
        run: Callable[[Any], Iterable[pa.RecordBatch]],
        schema: pa.Schema,
    ) -> pa.Table:
        """Run the rows of a request that are not kept; return all of them in its order."""
        key = f"{path} {self._key}"
        kept = self._kept.of(key, request) if self._kept else RequestBatches(request, {})
        rest = kept.rest()
        if known := len(request.rows) - len(rest.rows):
            LOG.info("%s: %d of %d rows were computed before", path, known, len(request.rows))
        try:
            for batch in run(rest) if rest.rows else ():
                kept.take(batch)
        except InterventionError:
            # Whether an intervention acted is checked over all rows of a request.
            kept.forget()
            raise
        return pa.Table.from_batches(kept.all(), schema)


def _packed(vectors: Vectors | None) -> dict[str, str]:
    named = (vectors or {}).items()
    return {name: pack_vector(np.asarray(vector, dtype=np.float32)) for name, vector in named}


def _silent(_done: int, _total: int) -> None:
    """Say nothing."""
