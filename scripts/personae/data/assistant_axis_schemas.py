"""Columns of the tables about held-out roles, speakers, harm and case studies.

`personae.data.schemas` registers them; its conventions hold here too.
"""

from __future__ import annotations

from typing import Final

import pyarrow as pa

_TEXT = pa.string()
_INDEX = pa.int16()
_COUNT = pa.int32()
_NUMBER = pa.float64()

Columns = dict[str, pa.DataType]

RESPONSES: Final[dict[str, Columns]] = {}
"""Kinds of generated responses, with the columns that they add to the common ones."""

TABLES: Final[dict[str, Columns]] = {
    "heldout_roles": {
        "role": _TEXT,
        "layer": _INDEX,
        "in_axis": pa.bool_(),
        "cosine": _NUMBER,
        "n_role": _COUNT,
        "n_default": _COUNT,
        "auc": _NUMBER,
        "auc_low": _NUMBER,
        "auc_high": _NUMBER,
        "auc_with": _NUMBER,
        "auc_random": _NUMBER,
        "null_p95": _NUMBER,
        "p_value": _NUMBER,
    },
}
"""Other kinds of table."""
