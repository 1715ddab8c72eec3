"""Declared tables as data frames."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from personae.data import tables


def read_frame(
    paths: str | Sequence[str], schema: str, columns: list[str] | None = None, filters: Any = None
) -> pd.DataFrame:
    """Read one table, or several of one schema on top of each other.

    Parameters
    ----------
    paths
        Files, each checked against ``schema`` and its own row count.
    columns, filters
        Columns to keep, and rows to keep as pyarrow filters such as ``[("layer", "==", 3)]``;
        applied while reading, so that a large table is never held whole.
    """
    files = [paths] if isinstance(paths, str) else list(paths)
    parts = [
        tables.read(path, schema, columns=columns, filters=filters).to_pandas() for path in files
    ]
    # An empty part has no types to go by and would change those of the others.
    return pd.concat([part for part in parts if len(part)] or parts[:1], ignore_index=True)
