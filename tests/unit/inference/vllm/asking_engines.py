"""Helpers that send requests to either engine and read the results."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from personae.api.requests import (
    ActivationRow,
    ActivationsRequest,
    GenerateRequest,
    LikelihoodRequest,
    LikelihoodRow,
)
from personae.api.wire_encoding import pack_vector
from personae.inference.server.backend import Backend, GeneratedResponse

_RNG = np.random.default_rng(5)
VECTORS: Mapping[str, NDArray[np.float32]] = {
    name: _RNG.normal(size=64).astype(np.float32) * 2 for name in ("v", "w", "axis")
}
PACKED = {name: pack_vector(vector) for name, vector in VECTORS.items()}


def silent(done: int, total: int) -> None:
    """Ignore progress."""


def generate(engine: Backend, request: GenerateRequest) -> list[GeneratedResponse]:
    """Return the responses in the order of the request."""
    found = {result.id: result for result in engine.generate(request, silent)}
    return [found[row.id] for row in request.rows]


def tokens(results: Sequence[GeneratedResponse]) -> list[list[int]]:
    return [list(result.response_ids) for result in results]


def means(
    engine: Backend, rows: Sequence[ActivationRow], layers: list[int] | None = None
) -> dict[tuple[str, str], NDArray[np.float32]]:
    """Return span means by row and span."""
    request = ActivationsRequest(rows=list(rows), vectors=PACKED, layers=layers)
    return {(found.id, found.span): found.vectors for found in engine.activations(request, silent)}


def scores(engine: Backend, rows: Sequence[LikelihoodRow]) -> list[float]:
    """Return the rows' sums of log-probabilities, in their order."""
    request = LikelihoodRequest(rows=list(rows), vectors=PACKED)
    found = {score.id: score.sum_logprob for score in engine.loglikelihood(request, silent)}
    return [found[row.id] for row in rows]
