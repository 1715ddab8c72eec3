"""Checksums of a Parquet table: of its footer, and of every column of every row group.

Parquet's page checksums cover the bodies of pages alone. Here every byte that a reader depends on
is covered by a CRC-32: page headers and bodies by the checksum of their column chunk, all metadata
and these checksums themselves by the checksum of the footer. They are one value of the footer's
key-value metadata, as hexadecimal digits, the footer's own first; that one is computed with zeros
in its own place. A reader of some columns or row groups checks those alone.

This module imports no pyarrow, so that every Snakemake process can use it.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, Final, NamedTuple

KEY: Final = "personae.checksums"

_MAGIC: Final = b"PAR1"
_MARK: Final = b"personae.crc32:"
_END: Final = b"."
_DIGITS: Final = 8
_BLOCK: Final = 2**22


class ChecksumError(ValueError):
    """Bytes that are not those that were written; the message says which."""


class ColumnChunk(NamedTuple):
    """The bytes of one column in one row group; ``number`` counts the chunks of the file."""

    number: int
    column: str
    start: int
    length: int


class TableFooter(NamedTuple):
    """A table's footer and where it begins; ``slot`` is where its checksums begin in it."""

    start: int
    content: bytes
    slot: int

    @property
    def checksums(self) -> bytes:
        """The digits of all chunks, one after the other."""
        end = self.content.find(_END, self.slot)
        return self.content[self.slot + _DIGITS : end]


def reserve(chunks: int) -> str:
    """Return the value of `KEY` with which a table of so many chunks is written, before `seal`."""
    return (_MARK + b"0" * _DIGITS * (1 + chunks) + _END).decode()


def chunks_of(metadata: Any, groups: Iterable[int] | None = None) -> Iterator[ColumnChunk]:
    """Yield the chunks of some row groups, or of all.

    Parameters
    ----------
    metadata
        `pyarrow.parquet.FileMetaData` of the table.
    groups
        Indices of row groups.
    """
    for group in range(metadata.num_row_groups) if groups is None else groups:
        row_group = metadata.row_group(group)
        for place in range(row_group.num_columns):
            column = row_group.column(place)
            # The dictionary page, if there is one, comes before the data pages.
            start = column.dictionary_page_offset or column.data_page_offset
            yield ColumnChunk(
                number=group * row_group.num_columns + place,
                column=column.path_in_schema.split(".")[0],
                start=start,
                length=column.total_compressed_size,
            )


def seal(file: BinaryIO, metadata: Any) -> None:
    """Write the checksums of a finished table, open for reading and writing, into its footer."""
    digits = b"".join(_checksum(file, chunk) for chunk in chunks_of(metadata))
    start, content, slot = _footer(file)
    after = slot + _DIGITS + len(digits)
    content = content[: slot + _DIGITS] + digits + content[after:]
    file.seek(start + slot)
    file.write(_hex(zlib.crc32(content)) + digits)


def check_footer(file: BinaryIO) -> TableFooter:
    """Check the two ends of a table and its metadata, without reading its data.

    Raises
    ------
    ChecksumError
        When the file is cut short, has no checksums, or its metadata are not those written.
    """
    found = _footer(file)
    content, slot = found.content, found.slot
    after = slot + _DIGITS
    zeroed = content[:slot] + b"0" * _DIGITS + content[after:]
    if _hex(zlib.crc32(zeroed)) != content[slot:after]:
        raise ChecksumError("its metadata do not match their checksum")
    return found


def check_chunks(file: BinaryIO, footer: TableFooter, chunks: Iterable[ColumnChunk]) -> None:
    """Check the data of some chunks.

    Raises
    ------
    ChecksumError
        Naming the first column whose bytes are not those that were written.
    """
    for chunk in chunks:
        at = _DIGITS * chunk.number
        if _checksum(file, chunk) != footer.checksums[at : at + _DIGITS]:
            raise ChecksumError(f"column {chunk.column} does not match its checksum")


def content_checksum(path: Path) -> str:
    """Return one checksum of all columns of a table, without reading them.

    It is equal when the same rows are written again: provenance and time do not enter.

    Raises
    ------
    ChecksumError
        As `check_footer`.
    """
    with path.open("rb") as file:
        return _hex(zlib.crc32(check_footer(file).checksums)).decode()


def _footer(file: BinaryIO) -> TableFooter:
    size = file.seek(0, 2)
    if size < 3 * len(_MAGIC):
        raise ChecksumError(f"{size} bytes are no table")
    file.seek(0)
    head = file.read(len(_MAGIC))
    file.seek(-2 * len(_MAGIC), 2)
    length, tail = int.from_bytes(file.read(len(_MAGIC)), "little"), file.read()
    start = size - 2 * len(_MAGIC) - length
    if (head, tail) != (_MAGIC, _MAGIC) or start < len(_MAGIC):
        raise ChecksumError("it does not begin and end as a table")
    file.seek(start)
    content = file.read(length)
    mark = content.rfind(_MARK)
    if mark < 0:
        raise ChecksumError("it has no checksums")
    return TableFooter(start, content, mark + len(_MARK))


def _checksum(file: BinaryIO, chunk: ColumnChunk) -> bytes:
    file.seek(chunk.start)
    left, crc = chunk.length, 0
    while left > 0 and (block := file.read(min(left, _BLOCK))):
        crc = zlib.crc32(block, crc)
        left -= len(block)
    return _hex(crc)


def _hex(crc: int) -> bytes:
    return b"%08x" % crc
