"""What an engine returns, as Arrow record batches."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa

from personae.api.arrow_stream import GENERATED, SCORED
from personae.api.requests import LikelihoodResult
from personae.data.vector_columns import from_matrix
from personae.inference.server.backend import GeneratedResponse, SpanMeans


def generated_batch(result: GeneratedResponse) -> pa.RecordBatch:
    """Return one response in the schema `personae.api.arrow_stream.GENERATED`."""
    row = {
        "id": result.id,
        "prompt_ids": result.prompt_ids,
        "response_ids": result.response_ids,
        "response": result.text,
        "finish_reason": result.finish_reason,
        "seed": result.seed,
        "system_inserted": result.system_inserted,
        "fired": result.fired,
    }
    return pa.RecordBatch.from_pylist([row], schema=GENERATED)


def means_batch(means: SpanMeans, layers: Sequence[int], schema: pa.Schema) -> pa.RecordBatch:
    """Return the means of one span at ``layers``; ``schema`` is that of `activations_schema`."""
    n = len(layers)
    columns = [[means.id] * n, [means.span] * n, list(layers), [means.n_tokens] * n]
    arrays = [pa.array(column, schema.field(i).type) for i, column in enumerate(columns)]
    return pa.record_batch([*arrays, from_matrix(means.vectors)], schema=schema)


def scored_batch(result: LikelihoodResult) -> pa.RecordBatch:
    """Return one continuation in the schema `personae.api.arrow_stream.SCORED`."""
    return pa.RecordBatch.from_pylist([result.model_dump()], schema=SCORED)
