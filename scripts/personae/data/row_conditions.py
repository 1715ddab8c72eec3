"""Conditions on rows: which row groups may hold such rows, and which rows meet them.

`pyarrow.dataset` could do both, but importing it imports pandas, which takes most nodes longer than
their reading.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

Conditions = Sequence[tuple[str, str, Any]]
"""Conditions ``(column, comparison, value)`` that a row must all meet."""

_COMPARE: Final = {
    "==": pc.equal,
    "<": pc.less,
    "<=": pc.less_equal,
    ">": pc.greater,
    ">=": pc.greater_equal,
}


def groups_meeting(metadata: Any, conditions: Conditions) -> list[int]:
    """Return the row groups that may hold rows that meet the conditions.

    Parameters
    ----------
    metadata
        `pyarrow.parquet.FileMetaData` of the table.
    conditions
        As for `rows_meeting`.
    """
    return [
        group
        for group in range(metadata.num_row_groups)
        if all(_may_hold(metadata.row_group(group), *condition) for condition in conditions)
    ]


def _may_hold(group: Any, name: str, comparison: str, value: Any) -> bool:
    for place in range(group.num_columns):
        column = group.column(place)
        if column.path_in_schema != name:
            continue
        found = column.statistics
        if found is None or not found.has_min_max:
            return True
        values = value if comparison == "in" else [value]
        return any(_lies_within(found.min, found.max, comparison, one) for one in values)
    return True


def _lies_within(low: Any, high: Any, comparison: str, value: Any) -> bool:
    """Tell whether a value between ``low`` and ``high`` may compare so with ``value``."""
    below, above = low < value, high > value
    return bool(
        {
            "<": below,
            "<=": low <= value,
            ">": above,
            ">=": high >= value,
        }.get(comparison, low <= value <= high)
    )


def rows_meeting(table: pa.Table, conditions: Conditions) -> pa.Table:
    """Return the rows that meet all conditions; a null meets none.

    Raises
    ------
    ValueError
        For a comparison that is not one of ``==``, ``<``, ``<=``, ``>``, ``>=`` and ``in``.
    """
    for name, comparison, value in conditions:
        column = table[name]
        if comparison == "in":
            met = pc.is_in(column, value_set=pa.array(list(value), column.type))
        elif comparison in _COMPARE:
            met = _COMPARE[comparison](column, pa.scalar(value, column.type))
        else:
            raise ValueError(f"comparison {comparison!r}; give one of {[*_COMPARE, 'in']}")
        table = table.filter(met)
    return table
