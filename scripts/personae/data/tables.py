"""Tables on disk: Parquet with a declared schema, checksums and provenance.

A table is written whole or not at all. `read` refuses by name a file that is truncated, that holds
another kind of table, or whose bytes are not those that were written. Vectors are fixed-size
binary of ``4 * hidden`` bytes, float32 little-endian, in the residual stream's own basis.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from personae.base.atomic_files import replace_atomically
from personae.data import table_checksums
from personae.data.damaged_table import REMEDY as _REMEDY
from personae.data.damaged_table import DamagedTableError, TableError
from personae.data.row_conditions import Conditions, groups_meeting, rows_meeting
from personae.data.row_groups import parts_by_layer, row_groups
from personae.data.schemas import SCHEMAS
from personae.data.vector_columns import (
    HALF_VECTOR,
    VECTOR,
    from_matrix,
    is_half_vector,
    is_vector,
    to_matrix,
)

__all__ = [
    "DamagedTableError",
    "TableError",
    "assemble",
    "from_matrix",
    "from_rows",
    "kind",
    "provenance",
    "read",
    "to_matrix",
    "write",
]

_SCHEMA_KEY: Final = "personae.schema"
_PROVENANCE_KEY: Final = "personae.provenance"
_UNREADABLE: Final = (pa.ArrowException, OSError, table_checksums.ChecksumError)

_WIDTHS: Final = {VECTOR: is_vector, HALF_VECTOR: is_half_vector}
"""What tells a column of vectors, whose width schemas leave open."""


def assemble(parts: Sequence[pa.Table], schema_name: str) -> pa.Table:
    """Concatenate tables and put their columns into the declared order and types.

    Vectors keep the width of the first part that has rows; a table without rows gets width 4.

    Raises
    ------
    TableError
        When a column is missing, not declared, or cannot be cast without loss.
    """
    declared = _declared(schema_name)
    schema = pa.schema([_with_width(field, parts) for field in declared])
    columns = []
    for part in parts:
        _refuse_columns(part.schema, declared, f"a part of {schema_name}", "give those declared")
        try:
            if part.num_rows:
                columns.append(part.select(declared.names).cast(schema))
        except pa.ArrowInvalid as error:
            raise TableError(f"a part of {schema_name}: {error}; correct its types") from None
    return pa.concat_tables(columns) if columns else schema.empty_table()


def from_rows(rows: Sequence[Mapping[str, Any]], schema_name: str) -> pa.Table:
    """Return records as a table of the declared schema; a key that a record lacks is null.

    Raises
    ------
    TableError
        When a record has a key that is not declared, or a value does not fit its column.
    """
    declared = _declared(schema_name)
    for index, row in enumerate(rows):
        if odd := sorted(set(row) - set(declared.names)):
            raise TableError(f"row {index} of {schema_name}: undeclared columns {odd}")
    try:
        return pa.Table.from_pylist(list(rows), schema=declared)
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        raise TableError(f"rows of {schema_name}: {error}; correct their types") from None


def write(
    table: pa.Table,
    path: str | os.PathLike[str],
    schema_name: str,
    provenance: Mapping[str, str],
) -> None:
    """Write ``table`` to ``path`` in one step, so that no reader ever sees half of it.

    Parameters
    ----------
    table
        Columns exactly as ``SCHEMAS[schema_name]`` declares them, in that order.
    path
        Parquet file; its folder is made when missing.
    schema_name
        Kind of table.
    provenance
        Facts about its making, see `personae.workflow.provenance.collect`; kept in the file's
        metadata.

    Raises
    ------
    TableError
        When the columns are not those declared.
    """
    target = Path(path)
    _refuse_schema(table.schema, _declared(schema_name), str(target), "correct the node")
    metadata = {
        _SCHEMA_KEY: schema_name,
        _PROVENANCE_KEY: json.dumps(dict(provenance), sort_keys=True),
    }
    with replace_atomically(target) as partial, partial.open("w+b") as stream:
        _write_parquet(_bare(table), stream, schema_name, metadata)
        table_checksums.seal(stream, pq.read_metadata(stream))
        stream.flush()
        os.fsync(stream.fileno())


def _write_parquet(
    table: pa.Table, stream: IO[bytes], schema_name: str, metadata: dict[str, str]
) -> None:
    """Write row groups, and metadata that are in the footer alone, with room for checksums."""
    groups = row_groups(table, schema_name)
    room = table_checksums.reserve(max(1, len(groups)) * table.num_columns)
    # Vectors do not repeat and are not compared: no dictionary, no smallest and largest.
    plain = [field.name for field in table.schema if not is_half_vector(field.type)]
    with pq.ParquetWriter(
        stream,
        table.schema,
        compression="zstd",
        use_dictionary=plain,
        write_statistics=plain,
        write_page_checksum=True,
    ) as writer:
        for part in parts_by_layer(table, groups) if groups else [table]:
            writer.write_table(part, row_group_size=max(1, part.num_rows))
        writer.add_key_value_metadata({**metadata, table_checksums.KEY: room})


def read(
    path: str | os.PathLike[str],
    schema_name: str,
    columns: Sequence[str] | None = None,
    filters: Conditions | None = None,
) -> pa.Table:
    """Return a table, or some of its columns and rows, after checking the bytes that are read.

    Parameters
    ----------
    path
        File that `write` made.
    schema_name
        Kind of table that is expected.
    columns
        Columns to return; all by default.
    filters
        Conditions ``(column, comparison, value)`` that rows must all meet. Row groups without such
        rows are not read: a table sorted by layer is read one layer at a time.

    Raises
    ------
    TableError
        Naming the file, when it is missing, damaged or of another kind.
    """
    wanted = _declared(schema_name).names if columns is None else list(columns)
    conditions = list(filters or ())
    needed = list(dict.fromkeys([*wanted, *(name for name, *_ in conditions)]))
    try:
        with pa.OSFile(os.fspath(path)) as stream:
            footer = table_checksums.check_footer(stream)
            file = pq.ParquetFile(stream)
            _refuse_other(file, str(path), schema_name)
            groups = groups_meeting(file.metadata, conditions)
            chunks = table_checksums.chunks_of(file.metadata, groups)
            table_checksums.check_chunks(
                stream, footer, (chunk for chunk in chunks if chunk.column in needed)
            )
            found = file.read_row_groups(groups, columns=needed)
            return _bare(rows_meeting(found, conditions).select(wanted))
    except FileNotFoundError:
        raise TableError(f"{path}: no such table; run the workflow again") from None
    except _UNREADABLE as error:
        raise DamagedTableError(path, error) from None


def provenance(path: str | os.PathLike[str]) -> dict[str, str]:
    """Return the facts that `write` kept about the making of a table.

    Raises
    ------
    TableError
        Naming the file, when it is missing, damaged, or none of this project's tables.
    """
    facts: dict[str, str] = json.loads(_fact(path, _PROVENANCE_KEY))
    return facts


def kind(path: str | os.PathLike[str]) -> str:
    """Return the kind of table that a file holds, a key of ``SCHEMAS``.

    Raises
    ------
    TableError
        As `provenance`.
    """
    return _fact(path, _SCHEMA_KEY)


def _fact(path: str | os.PathLike[str], key: str) -> str:
    try:
        with Path(path).open("rb") as stream:
            table_checksums.check_footer(stream)
            metadata = pq.read_metadata(stream).metadata or {}
    except FileNotFoundError:
        raise TableError(f"{path}: no such table; run the workflow again") from None
    except _UNREADABLE as error:
        raise DamagedTableError(path, error) from None
    if key.encode() not in metadata:
        raise TableError(f"{path}: holds no {key.removeprefix('personae.')}; {_REMEDY}")
    return str(metadata[key.encode()].decode())


def _declared(schema_name: str) -> pa.Schema:
    if schema_name not in SCHEMAS:
        raise TableError(f"no kind of table {schema_name!r}; declare it in personae.data.schemas")
    return SCHEMAS[schema_name]


def _with_width(field: pa.Field, parts: Sequence[pa.Table]) -> pa.Field:
    if field.type not in _WIDTHS:
        return field
    # A part without rows does not know the width: a role that was never played has no vector.
    schemas = [part.schema for part in parts if part.num_rows and field.name in part.schema.names]
    kinds = (schema.field(field.name).type for schema in schemas)
    return field.with_type(next(filter(_WIDTHS[field.type], kinds), pa.binary(4)))


def _refuse_columns(found: pa.Schema, declared: pa.Schema, what: str, remedy: str) -> None:
    missing = [name for name in declared.names if name not in found.names]
    extra = [name for name in found.names if name not in declared.names]
    if missing or extra:
        raise TableError(f"{what}: missing columns {missing}, unexpected columns {extra}; {remedy}")


def _refuse_schema(found: pa.Schema, declared: pa.Schema, what: str, remedy: str) -> None:
    """Refuse columns that differ from those declared in name, order or type."""
    _refuse_columns(found, declared, what, remedy)
    if found.names != declared.names:
        raise TableError(f"{what}: columns in the order {found.names}; {remedy}")
    for field, kind in zip(declared, found.types, strict=True):
        vectors = _WIDTHS.get(field.type)
        if not (vectors(kind) if vectors else kind == field.type):
            expected = "vectors" if vectors else field.type
            raise TableError(f"{what}: column {field.name} is {kind}, not {expected}; {remedy}")


def _refuse_other(file: pq.ParquetFile, path: str, schema_name: str) -> None:
    """Refuse a file of another kind, or whose columns are not those that are declared now."""
    metadata = file.metadata.metadata or {}
    kind = metadata.get(_SCHEMA_KEY.encode(), b"unknown").decode()
    if kind != schema_name:
        raise TableError(f"{path}: a table of kind {kind}, not {schema_name}; {_REMEDY}")
    _refuse_schema(file.schema_arrow, _declared(schema_name), path, _REMEDY)


def _bare(table: pa.Table) -> pa.Table:
    """Drop the file's metadata, which no longer describes a table in memory."""
    return table.replace_schema_metadata(None)
