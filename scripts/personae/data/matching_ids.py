"""Tables that are joined by ``response_id`` must be about the same responses."""

from __future__ import annotations

from collections.abc import Collection

import pyarrow as pa
import pyarrow.compute as pc

from personae.data.tables import TableError


def answered(responses: pa.Table) -> list[str]:
    """Return the ids of responses that have tokens: an empty one has no activation.

    Parameters
    ----------
    responses
        Columns ``response_id`` and ``response_ids`` of a table of responses.
    """
    lengths = pc.list_value_length(responses["response_ids"])
    ids: list[str] = responses.filter(pc.greater(lengths, 0))["response_id"].to_pylist()
    return ids


def check_ids(path: str, found: Collection[str], responses: Collection[str], source: str) -> None:
    """Refuse a table whose ids are not exactly those of the responses that it is about.

    Parameters
    ----------
    path, found
        The table and its ids.
    responses, source
        The ids that it must have, and the table they are from.

    Raises
    ------
    TableError
        Naming both tables, how many ids differ, one of them, and the remedy.
    """
    foreign, absent = set(found) - set(responses), set(responses) - set(found)
    if foreign or absent:
        one = min(foreign or absent)
        raise TableError(
            f"{path}: {len(foreign)} of its {len(set(found))} responses are not in {source} and "
            f"{len(absent)} of that are missing, such as {one!r}; delete {path} and run again"
        )
