"""Mean activations of responses at one layer, without a table in between."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from personae.api.requests import ActivationRow, Span
from personae.data.vector_columns import to_matrix
from personae.inference.client import EngineClient

SPAN = "response_mean"


def response_requests(responses: pa.Table) -> list[ActivationRow]:
    """Build requests for the mean over response tokens, as generated; empty responses have none."""
    names = ("response_id", "prompt_ids", "response_ids")
    columns = (responses[name].to_pylist() for name in names)
    return [
        ActivationRow(
            id=response_id,
            token_ids=[*prompt, *response],
            n_prompt=len(prompt),
            spans=[Span(name=SPAN, start=len(prompt), end=len(prompt) + len(response))],
        )
        for response_id, prompt, response in zip(*columns, strict=True)
        if response
    ]


def response_means(engine: EngineClient, responses: pa.Table, layer: int) -> NDArray[np.float32]:
    """Return the mean residual stream of every response after block ``layer``, ``[n, hidden]``."""
    found = engine.activations(response_requests(responses), layers=[layer])
    return to_matrix(found["vector"])
