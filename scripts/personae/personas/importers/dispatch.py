"""Maps each import format to its reader and to the part of the library it adds to."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final

from personae.base.field_types import Strict
from personae.personas.importers import harm_benchmarks, roles_and_traits, transcripts
from personae.personas.importers.skipped_records import SkippedRecord, skipped_line
from personae.personas.library.import_source import ImportSource
from personae.personas.library.yaml_reader import LibraryError

_Reads = Callable[[ImportSource, Path], Iterator[tuple[str, str, Strict] | SkippedRecord]]
"""Yields place, name and record, or a record that is left out."""

FORMATS: Final[Mapping[str, _Reads]] = {
    "assistant_axis_roles": roles_and_traits.roles,
    "assistant_axis_default": roles_and_traits.default_assistant,
    "assistant_axis_traits": roles_and_traits.axis_traits,
    "assistant_axis_questions": roles_and_traits.questions,
    "assistant_axis_transcripts": transcripts.axis_transcripts,
    "persona_vectors_traits": roles_and_traits.persona_vector_traits,
    "sharegpt": transcripts.sharegpt,
    "harm_table": harm_benchmarks.harm_table,
}


def read_source(source: ImportSource, base: Path, notes: list[str]) -> dict[str, Strict]:
    """Return the records of a source by name.

    Parameters
    ----------
    notes
        Takes one line if some were left out.

    Raises
    ------
    LibraryError
        With file, place and reason.
    """
    records: dict[str, Strict] = {}
    homes: dict[str, str] = {}
    skipped: list[SkippedRecord] = []
    for found in FORMATS[source.format](source, base):
        if isinstance(found, SkippedRecord):
            skipped.append(found)
            continue
        where, slug, record = found
        if slug in records:
            raise LibraryError(f"{where}: {slug!r} is also in {homes[slug]}; rename one of them")
        records[slug], homes[slug] = record, where
    if skipped:
        notes.append(skipped_line(source.path, skipped, len(records)))
    if skipped and not records:
        raise LibraryError(f"{notes[-1]}; set unfit, or correct the file")
    if not records:
        raise LibraryError(f"{source.path}: no records of format {source.format}; correct the path")
    return records
