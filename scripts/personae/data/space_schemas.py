"""Columns of the tables about trait space, role loadings and the prediction of drift.

`personae.data.schemas` registers them; its conventions hold here too.
"""

from __future__ import annotations

from typing import Final

import pyarrow as pa

_TEXT = pa.string()
_INDEX = pa.int16()
_COUNT = pa.int32()
_NUMBER = pa.float64()

TABLES: Final[dict[str, dict[str, pa.DataType]]] = {
    "trait_space_cosines": {
        "trait": _TEXT,
        "layer": _INDEX,
        "n_kept": _COUNT,
        "n_folds": _COUNT,
        "norm": _NUMBER,
        "cosine": _NUMBER,
        "cosine_low": _NUMBER,
        "cosine_high": _NUMBER,
        "null_p95": _NUMBER,
        "p_value": _NUMBER,
    },
    "trait_space_components": {
        "layer": _INDEX,
        "component": _INDEX,
        "n_traits": _COUNT,
        "variance_ratio": _NUMBER,
        "cosine": _NUMBER,
        "cosine_low": _NUMBER,
        "cosine_high": _NUMBER,
        "null_p95": _NUMBER,
        "p_value": _NUMBER,
    },
    "trait_space_plane": {
        "layer": _INDEX,
        "kind": _TEXT,
        "name": _TEXT,
        "axis_cosine": _NUMBER,
        "component_cosine": _NUMBER,
    },
    "model_comparison": {
        "left": _TEXT,
        "right": _TEXT,
        "relation": _TEXT,
        "statistic": _TEXT,
        "component": _INDEX,
        "matched": _INDEX,
        "n_roles": _COUNT,
        "value": _NUMBER,
        "low": _NUMBER,
        "high": _NUMBER,
        "null_p95": _NUMBER,
        "p_value": _NUMBER,
    },
    "role_loadings": {
        "layer": _INDEX,
        "scaling": _TEXT,
        "component": _INDEX,
        "variance_ratio": _NUMBER,
        "role": _TEXT,
        "kind": _TEXT,
        "loading": _NUMBER,
    },
    "drift_predictions": {
        "arm": _TEXT,
        "target": _TEXT,
        "layer": _INDEX,
        "n": _COUNT,
        "n_conversations": _COUNT,
        "r2": _NUMBER,
        "r2_low": _NUMBER,
        "r2_high": _NUMBER,
        "null_p95": _NUMBER,
        "p_value": _NUMBER,
    },
}
