"""Read JSON, JSON lines and CSV files of an import; errors name file and line."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from personae.personas.library.yaml_reader import LibraryError


class ImportedValue(NamedTuple):
    """A parsed value with its source: file, or file and line."""

    where: str
    data: Any


def text_of(base: Path, name: str) -> str:
    """Return the text of a UTF-8 file (a byte order mark is dropped).

    Raises
    ------
    LibraryError
        When it is missing or not UTF-8.
    """
    try:
        return (base / name).read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        raise LibraryError(f"{name}: no such file; create it or correct the path") from None
    except IsADirectoryError:
        raise LibraryError(f"{name}: is a folder; name the file") from None
    except UnicodeDecodeError as error:
        raise LibraryError(f"{name}: not UTF-8 at byte {error.start}; save it as UTF-8") from None


def json_file(base: Path, name: str) -> ImportedValue:
    """Return the content of a JSON file.

    Raises
    ------
    LibraryError
        If the file is not JSON; names the line.
    """
    return ImportedValue(name, _parse(text_of(base, name), name, 0))


def json_folder(base: Path, folder: str) -> Iterator[tuple[str, ImportedValue]]:
    """Yield name and content of every ``.json`` file of a folder, sorted by name.

    Raises
    ------
    LibraryError
        If there is no such file, or one is not JSON.
    """
    names = sorted(path.name for path in (base / folder).glob("*.json"))
    if not names:
        raise LibraryError(f"{folder}: no .json file in this folder; correct the path")
    for name in names:
        yield Path(name).stem, json_file(base, f"{folder}/{name}")


def json_records(base: Path, name: str) -> Iterator[ImportedValue]:
    """Yield the records of a JSON list, or of JSON lines.

    Raises
    ------
    LibraryError
        With the line that is not JSON.
    """
    if Path(name).suffix in (".jsonl", ".ndjson") or _has_lines(base, name):
        # Not splitlines, which also splits at U+2028 and similar characters inside a text.
        for number, line in enumerate(text_of(base, name).split("\n")):
            if line.strip():
                yield ImportedValue(f"{name}:{number + 1}", _parse(line, name, number))
        return
    data = json_file(base, name).data
    if not isinstance(data, list):
        raise LibraryError(f"{name}: must hold a list of records, not {data!r:.60}")
    for index, record in enumerate(data):
        yield ImportedValue(f"{name}: [{index}]", record)


def _has_lines(base: Path, name: str) -> bool:
    """Return whether a file has JSON lines, whatever its name: two lines, each a whole object."""
    first, _, rest = text_of(base, name).lstrip().partition("\n")
    second = rest.lstrip().partition("\n")[0]
    try:
        return isinstance(json.loads(first), dict) and isinstance(json.loads(second), dict)
    except (ValueError, RecursionError):
        return False


def csv_records(base: Path, name: str) -> Iterator[ImportedValue]:
    """Yield the rows of a CSV file (TSV by its suffix) as mappings from column to text.

    Raises
    ------
    LibraryError
        If there is no header, a column name occurs twice, or a row has another number of columns.
    """
    delimiter = "\t" if Path(name).suffix == ".tsv" else ","
    stream = io.StringIO(text_of(base, name), newline="")
    reader = csv.DictReader(stream, delimiter=delimiter, strict=True)
    try:
        if not reader.fieldnames:
            raise LibraryError(f"{name}: empty; its first line must name the columns")
        if repeated := _repeated(reader.fieldnames):
            raise LibraryError(f"{name}:1: column {repeated!r} occurs twice; rename one of them")
        for row in reader:
            where = f"{name}:{reader.line_num}"
            if None in row or None in row.values():
                columns = len(reader.fieldnames)
                raise LibraryError(
                    f"{where}: not {columns} columns as in the first line; correct it"
                )
            yield ImportedValue(where, row)
    except csv.Error as error:
        raise LibraryError(f"{name}:{reader.line_num}: {error}; quote the cell properly") from None


def _repeated(names: Sequence[str]) -> str | None:
    return next((name for index, name in enumerate(names) if name in names[:index]), None)


def slug_in(where: str, value: object, remedy: str) -> str:
    """Convert a text or an integer to a slug.

    Raises
    ------
    LibraryError
        If the value is neither, or the slug would be empty.
    """
    slug = slugify(value) if isinstance(value, str | int) else ""
    if not slug:
        raise LibraryError(f"{where}: {value!r:.60} cannot be turned into a name; {remedy}")
    return slug


def slugify(text: object) -> str:
    """Convert ``text`` to a slug of ``a-z``, ``0-9`` and ``_``; the result may be empty."""
    plain = str(text).lower().replace("'", "").replace("\u2019", "")
    return re.sub(r"[^a-z0-9]+", "_", plain).strip("_")


def _parse(text: str, name: str, line: int) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        message = f"{name}:{line + error.lineno}: not JSON: {error.msg}; correct it"
        raise LibraryError(message) from None
    except RecursionError:
        raise LibraryError(f"{name}:{line + 1}: nested too deeply; flatten it") from None
