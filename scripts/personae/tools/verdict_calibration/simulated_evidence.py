"""Evidence whose tables are simulated in memory."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from personae.report.scorecard.evidence import Evidence, NotMeasuredError


@dataclass(frozen=True)
class SimulatedEvidence(Evidence):
    """Evidence that reads data frames instead of files.

    Attributes
    ----------
    frames
        Maps an input of the scorecard to its table, with the columns that claims read.
    """

    frames: dict[str, pd.DataFrame] = field(default_factory=dict)

    def read(
        self, name: str, columns: list[str] | None = None, filters: Any = None
    ) -> pd.DataFrame:
        """Read a simulated input; one that is not simulated counts as not measured."""
        if name not in self.frames:
            raise NotMeasuredError(f"{name!r} is not simulated")
        rows = self.frames[name]
        asked = {*(columns or ()), *(column for column, _, _ in filters or ())}
        if missing := asked - set(rows.columns):
            raise NotMeasuredError(f"{name!r} is simulated without {sorted(missing)}")
        for column, operator, value in filters or ():
            kept = rows[column].isin(value) if operator == "in" else rows[column] == value
            rows = rows[kept]
        return rows if columns is None else rows[columns]
