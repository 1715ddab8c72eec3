"""The error for a damaged table; imports no pyarrow, so that every process can catch it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from personae.base.errors import PersonaeError

REMEDY: Final = "delete it and run the workflow again"


class TableError(PersonaeError):
    """A table that is damaged or is not what was declared; the line names the file."""


class DamagedTableError(TableError):
    """A table whose bytes are not those that were written; ``problem`` is the line without remedy.

    Parameters
    ----------
    path
        The table.
    reason
        What does not fit, as the reader found it.
    """

    def __init__(self, path: str | os.PathLike[str], reason: object) -> None:
        self.path = Path(path)
        said = " ".join(str(reason).split())[:200]
        self.problem = f"{path}: truncated or damaged ({said})"
        super().__init__(f"{self.problem}; {REMEDY}")
