"""Schemas of what is kept of rollouts' activations; conventions as in `personae.data.schemas`.

- ``activations``: the mean over a span, of every rollout at every layer.
- ``activation_sums``: of the rollouts of one persona in one cell (a kind of rollout, a split and a
  fold of its questions), at every layer: their number ``n``, mean length and mean. ``n`` times the
  mean is their sum, accumulated in float64.
- ``kept_activations``: single rollouts in float16, see `personae.data.vector_columns.to_half`:
  ``sampled`` ones at all layers, the others at the layers that the study keeps.
"""

from __future__ import annotations

from typing import Final

import pyarrow as pa

from personae.data.vector_columns import HALF_VECTOR, VECTOR

ACTIVATION_SCHEMAS: Final[dict[str, pa.Schema]] = {
    "activations": pa.schema(
        {
            "response_id": pa.string(),
            "span": pa.string(),
            "layer": pa.int16(),
            "n_tokens": pa.int32(),
            "vector": VECTOR,
        }
    ),
    "activation_sums": pa.schema(
        {
            "kind": pa.string(),
            "split": pa.string(),
            "fold": pa.int16(),
            "layer": pa.int16(),
            "n": pa.int32(),
            "length": pa.float64(),
            "vector": VECTOR,
        }
    ),
    "kept_activations": pa.schema(
        {
            "response_id": pa.string(),
            "kind": pa.string(),
            "question_id": pa.string(),
            "split": pa.string(),
            "sampled": pa.bool_(),
            "layer": pa.int16(),
            "scale": pa.float32(),
            "vector": HALF_VECTOR,
        }
    ),
}
