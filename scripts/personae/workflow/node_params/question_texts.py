"""The type of a record of parameters, and texts without names as they appear in one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

Record = dict[str, Any]


def numbered(questions: Sequence[str]) -> list[list[str]]:
    """Return texts that have no name with their place as one."""
    return [[f"q{index:02d}", text] for index, text in enumerate(questions)]
