"""Data that the page carries for its interactive parts: JSON, gzipped, in base64."""

from __future__ import annotations

import base64
import gzip
import json
import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple


class EmbeddedData(NamedTuple):
    """One block of data: the id of its element, and the text in it."""

    name: str
    text: str


def embed(name: str, content: Mapping[str, Any]) -> EmbeddedData:
    """Compress a record; numbers that JSON lacks (NaN, infinity) become null.

    The same content gives the same bytes: the compressed stream has no date.
    """
    plain = json.dumps(without_nan(content), ensure_ascii=False, separators=(",", ":"))
    packed = gzip.compress(plain.encode("utf-8"), compresslevel=9, mtime=0)
    return EmbeddedData(name, base64.b64encode(packed).decode("ascii"))


def embed_within(
    name: str, content: Callable[[int], Mapping[str, Any]], *, most: int, limit: int
) -> EmbeddedData:
    """Compress ``content(n)`` with as large an ``n``, at most ``most``, as keeps to a size.

    Parameters
    ----------
    content
        Returns the record with ``n`` items; fewer items must take less room.
    limit
        Largest length of the text.
    """
    while True:
        block = embed(name, content(most))
        if len(block.text) <= limit or most <= 1:
            return block
        most = max(1, int(0.95 * most * limit / len(block.text)))


def without_nan(value: Any) -> Any:
    """Return nested content with null for every number that is not finite."""
    if isinstance(value, Mapping):
        return {str(key): without_nan(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [without_nan(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
