"""Read harmful requests from CSV, TSV or JSON lines; the study names the columns."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from personae.personas.importers.file_reading import (
    ImportedValue,
    csv_records,
    json_records,
    slug_in,
)
from personae.personas.library.import_source import HarmColumns, ImportSource
from personae.personas.library.records import HarmProbe
from personae.personas.library.yaml_reader import LibraryError, validate


def harm_table(source: ImportSource, base: Path) -> Iterator[tuple[str, str, HarmProbe]]:
    """Yield place, name and probe of every row.

    Raises
    ------
    LibraryError
        If a named column is missing or holds an invalid value; names file and line.
    """
    tabular = Path(source.path).suffix in (".csv", ".tsv")
    records = csv_records(base, source.path) if tabular else json_records(base, source.path)
    columns = source.columns or HarmColumns(text="text")
    for number, item in enumerate(records):
        row = _row(item, columns)
        named = _name(item, row, columns.id) if columns.id else f"row_{number:04d}"
        slug = f"{source.prefix}{named}"
        record = {
            "id": slug,
            "category": _name(item, row, columns.category) if columns.category else source.category,
            "text": _request(row, columns),
        }
        yield item.where, slug, validate(item.where, HarmProbe, record, ())


def _row(item: ImportedValue, columns: HarmColumns) -> dict[str, Any]:
    if not isinstance(item.data, dict):
        raise LibraryError(f"{item.where}: must be a record of keys, not {item.data!r:.60}")
    for key, column in columns.model_dump(exclude_none=True).items():
        if column not in item.data and key != "context":
            known = ", ".join(map(str, item.data))
            message = f"no column {column!r}, which columns.{key} names; the file has {known}"
            raise LibraryError(f"{item.where}: {message}")
    return item.data


def _request(row: dict[str, Any], columns: HarmColumns) -> Any:
    """Return the request, after the text that it is about: context, blank line, dashes, request."""
    request = row[columns.text]
    context = row.get(columns.context) if columns.context else None
    if not isinstance(context, str) or not context.strip() or not isinstance(request, str):
        return request
    # HarmBench, baseline.py: f"{context_string}\n\n---\n\n{behavior}".
    return f"{context.strip()}\n\n---\n\n{request}"


def _name(item: ImportedValue, row: dict[str, Any], column: str) -> str:
    return slug_in(f"{item.where}: {column}", row[column], "fill it in or name another column")
