"""Which reader understands which format, and which part of the library it adds to."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final

from personae.fields import Strict
from personae.library.importers import harm, personas, talks
from personae.library.reader import LibraryError
from personae.library.sources import ImportSource

_Reads = Callable[[ImportSource, Path], Iterator[tuple[str, str, Strict]]]
"""Yields place, name and record."""

FORMATS: Final[Mapping[str, _Reads]] = {
    "assistant_axis_roles": personas.roles,
    "assistant_axis_default": personas.default_assistant,
    "assistant_axis_traits": personas.axis_traits,
    "assistant_axis_questions": personas.questions,
    "assistant_axis_transcripts": talks.axis_transcripts,
    "persona_vectors_traits": personas.persona_vector_traits,
    "sharegpt": talks.sharegpt,
    "harm_table": harm.harm_table,
}


def read_source(source: ImportSource, base: Path) -> dict[str, Strict]:
    """Return the records of a source by name.

    Raises
    ------
    LibraryError
        With file, place and reason.
    """
    records: dict[str, Strict] = {}
    homes: dict[str, str] = {}
    for where, slug, record in FORMATS[source.format](source, base):
        if slug in records:
            raise LibraryError(f"{where}: {slug!r} is in {homes[slug]}, too; rename one of them")
        records[slug], homes[slug] = record, where
    if not records:
        raise LibraryError(f"{source.path}: holds nothing of format {source.format}; correct it")
    return records
