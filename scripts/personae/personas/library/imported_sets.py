"""Imported records of a library, and the digest of all library files."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from personae.base.field_types import Strict
from personae.personas.library.yaml_reader import LibraryError

if TYPE_CHECKING:
    from personae.personas.library.import_source import ImportSource
    from personae.personas.library.settings import LibrarySection

_R = TypeVar("_R", bound=Strict)


def read_imports(
    sources: Sequence[ImportSource],
    model: type[_R],
    base: Path,
    own: Mapping[str, _R],
    notes: list[str],
) -> dict[str, _R]:
    """Merge the library's ``own`` records of one part with those of import sources, by name.

    Parameters
    ----------
    notes
        Takes one line for every source of which some records were left out.

    Raises
    ------
    LibraryError
        If a file is malformed or a name is taken.
    """
    # Imported here, since most studies import nothing.
    from personae.personas.importers import read_source

    records = dict(own)
    for source in sources:
        for name, record in read_source(source, base, notes).items():
            if name in records:
                message = f"{name!r} already exists in {source.part}; set prefix to keep both"
                raise LibraryError(f"{source.path}: {message}")
            assert isinstance(record, model)
            records[name] = record
    return records


def library_digest(section: LibrarySection, base: Path) -> str:
    """Return the SHA-256 of the names and contents of all files of the library."""
    digest = hashlib.sha256()
    for path in filter(Path.is_file, _files(section, base)):
        digest.update(f"{os.path.relpath(path, base)}\0".encode() + path.read_bytes() + b"\0")
    return digest.hexdigest()


def _files(section: LibrarySection, base: Path) -> Iterator[Path]:
    places = [value for value in section.model_dump().values() if isinstance(value, str)]
    for place in (*places, *(source.path for source in section.imports)):
        root = base / place
        yield from [root] if root.is_file() else sorted(root.rglob("*.*"))
