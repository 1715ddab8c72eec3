"""Rows received before a node failed; its next attempt requests only the others.

The key of a row covers everything that determines its result: the node and its code, the weights
and their dtype, the request without its rows, and the row itself. Every row is written when it is
received, so it survives any end of the node, ``kill -9`` included. Rows are removed when the node
succeeds.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import shutil
import time
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from personae.api.requests import (
    ActivationRow,
    ActivationsRequest,
    GenerateRequest,
    GenerateRow,
    LikelihoodRequest,
    LikelihoodRow,
)

if TYPE_CHECKING:  # slow to import, and not needed by every node
    import pyarrow as pa

RowsRequest = GenerateRequest | ActivationsRequest | LikelihoodRequest
Row = GenerateRow | ActivationRow | LikelihoodRow
Batches = dict[str, list["pa.RecordBatch"]]

LOG = logging.getLogger("personae")

# Largest finished request, in bytes, that is held in memory until the node ends.
_MOST_HELD = 2**26
_ROW_KEY = b"personae.row"
_CHECKSUM = b"personae.crc32"


class KeptRows:
    """The stored rows of one node; a context manager around its requests.

    Parameters
    ----------
    folder
        Folder of the study's stored rows.
    node
        Facts that identify the node, its code and its model.
    """

    def __init__(self, folder: Path, node: Mapping[str, Any]) -> None:
        self._folder = folder / f"rows-{_digest(json.dumps(node, sort_keys=True))}"
        self._kinds: dict[str, Batches] = {}
        self._journals: list[BatchJournal] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        for journal in self._journals:
            journal.close()
        if kind is None:
            shutil.rmtree(self._folder, ignore_errors=True)

    def of(self, path: str, request: RowsRequest) -> RequestBatches:
        """Return the stored batches of a request."""
        # Sorted: vectors in another order are the same request.
        shared = request.model_dump(mode="json", exclude={"rows"})
        kind = _digest(path + json.dumps(shared, sort_keys=True))
        if kind not in self._kinds:
            self._kinds[kind] = _load(self._folder, kind)
        journal = BatchJournal(self._folder / f"{kind}-{time.time_ns()}-{os.getpid()}")
        self._journals.append(journal)
        return RequestBatches(request, self._kinds[kind], journal)


class BatchJournal:
    """A file to which batches are appended; each batch is complete once it is written.

    If the disk is full, rows are not stored, but results are not affected. The file has one schema,
    that of all batches of the request.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._writer: pa.RecordBatchStreamWriter | None = None

    def write(self, key: str, batch: pa.RecordBatch) -> None:
        """Append a batch of a row; an empty batch revokes the earlier batches of the key."""
        if self._path is None:
            return
        import pyarrow as pa

        try:
            if self._writer is None:
                self._path.parent.mkdir(parents=True, exist_ok=True)
                # Unbuffered: every batch reaches the kernel at once, so a killed process loses
                # none.
                self._writer = pa.ipc.new_stream(pa.OSFile(str(self._path), "wb"), batch.schema)
            metadata = {_ROW_KEY: key.encode(), _CHECKSUM: _checksum(batch)}
            self._writer.write_batch(batch, custom_metadata=metadata)
        except OSError as error:
            LOG.warning("%s: rows are not kept (%s)", self._path, error)
            self._path = None

    def close(self) -> None:
        """Close the file."""
        if self._writer is not None:
            with contextlib.suppress(OSError):
                self._writer.close()
        self._writer = None


class RequestBatches:
    """The batches of one request: those stored by earlier attempts, and those received now.

    A row has one batch, or one for each of its spans.
    """

    def __init__(
        self, request: RowsRequest, batches: Batches, journal: BatchJournal | None = None
    ) -> None:
        self._request, self._batches = request, batches
        self._journal = journal or BatchJournal(None)
        self._keys = {row.id: _digest(row.model_dump_json()) for row in request.rows}

    def rest(self) -> RowsRequest:
        """Return the request for the missing rows; incomplete rows lose their stored spans."""
        missing = [row for row in self._request.rows if not self._is_there(row)]
        for row in missing:
            self._drop(self._keys[row.id])
        return self._request.model_copy(update={"rows": missing})

    def take(self, batch: pa.RecordBatch) -> None:
        """Store a received batch."""
        key = self._keys[batch["id"][0].as_py()]
        self._batches.setdefault(key, []).append(batch)
        self._journal.write(key, batch)

    def all(self) -> list[pa.RecordBatch]:
        """Return the batches of all rows in the order of the request, and close the journal."""
        keys = [self._keys[row.id] for row in self._request.rows]
        found = [batch for key in keys for batch in self._batches.get(key, ())]
        self._journal.close()
        if sum(batch.nbytes for batch in found) > _MOST_HELD:
            for key in keys:
                self._batches.pop(key, None)
        return found

    def forget(self) -> None:
        """Remove all stored batches of this request."""
        for key in self._keys.values():
            self._drop(key)

    def _drop(self, key: str) -> None:
        for batch in self._batches.pop(key, [])[:1]:
            self._journal.write(key, batch.slice(0, 0))

    def _is_there(self, row: Row) -> bool:
        wanted = len(row.spans) if isinstance(row, ActivationRow) else 1
        return len(self._batches.get(self._keys[row.id], ())) == wanted


def _load(folder: Path, kind: str) -> Batches:
    """Read the batches of earlier attempts in the order in which they were written."""
    batches: Batches = {}
    for path in sorted(folder.glob(f"{kind}-*")):  # names start with the time
        for key, batch in _batches_of(path):
            if batch.num_rows:
                batches.setdefault(key, []).append(batch)
            else:
                batches.pop(key, None)
    return batches


def _batches_of(path: Path) -> Iterator[tuple[str, pa.RecordBatch]]:
    """Yield the complete batches of a file; a killed process may leave the last one truncated."""
    import pyarrow as pa

    try:
        with pa.OSFile(str(path)) as file, pa.ipc.open_stream(file) as reader:
            for batch, metadata in reader.iter_batches_with_custom_metadata():
                if metadata[_CHECKSUM] != _checksum(batch):
                    raise OSError("a row does not match its checksum")
                yield metadata[_ROW_KEY].decode(), batch
    except (pa.ArrowException, OSError, KeyError) as error:
        LOG.warning("%s ends early (%s): the other rows are requested again", path, error)


def _checksum(batch: pa.RecordBatch) -> bytes:
    return b"%08x" % zlib.crc32(batch.serialize())


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:24]
