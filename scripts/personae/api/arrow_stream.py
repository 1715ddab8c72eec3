"""Tables in flight between model server and client: one Arrow stream of frames.

A frame is a record batch, or a batch without rows whose metadata report progress or the error
that ended the work after the reply had begun. So a long request is alive on the wire, its
results leave the server as they are made, and a failure half-way is never taken for the end.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterable, Iterator
from typing import Final, NamedTuple, TypeAlias

import pyarrow as pa

MEDIA_TYPE: Final = "application/vnd.apache.arrow.stream"

GENERATED: Final = pa.schema(
    [
        ("id", pa.string()),
        ("prompt_ids", pa.list_(pa.int32())),
        ("response_ids", pa.list_(pa.int32())),
        ("response", pa.string()),
        ("finish_reason", pa.string()),
        ("seed", pa.int64()),
        ("system_inserted", pa.string()),
        ("fired", pa.int64()),
    ]
)
"""One row per generated response; ``response_ids`` are without the end token."""

SCORED: Final = pa.schema(
    [("id", pa.string()), ("sum_logprob", pa.float64()), ("n_tokens", pa.int64())]
)
"""One row per continuation, see `personae.api.requests.LikelihoodResult`."""


def activations_schema(hidden_size: int) -> pa.Schema:
    """Return the schema of span means, one row per (row, span, layer); float32 vectors."""
    return pa.schema(
        [
            ("id", pa.string()),
            ("span", pa.string()),
            ("layer", pa.int16()),
            ("n_tokens", pa.int32()),
            ("vector", pa.binary(4 * hidden_size)),
        ]
    )


def embeddings_schema(size: int) -> pa.Schema:
    """Return the schema of text embeddings in the order of the texts; float32 vectors."""
    return pa.schema([("vector", pa.binary(4 * size))])


class Progress(NamedTuple):
    """Progress of a request, in rows."""

    done: int
    total: int


class FrameError(NamedTuple):
    """An error that occurred after the start of the reply."""

    type: str
    message: str


Heard: TypeAlias = pa.RecordBatch | Progress | FrameError
"""Items that a reader of frames receives."""


class FrameWriter:
    """Turns record batches and notes into the bytes of one Arrow stream.

    ``write`` and ``note`` return what has to be sent now; ``close`` returns the stream's end.
    """

    def __init__(self, schema: pa.Schema) -> None:
        self._schema = schema
        self._sink = io.BytesIO()
        self._stream = pa.ipc.new_stream(self._sink, schema)

    def write(self, batch: pa.RecordBatch) -> bytes:
        """Return the frame of one record batch."""
        self._stream.write_batch(batch)
        return self._taken()

    def note(self, note: Progress | FrameError) -> bytes:
        """Return the frame of a progress report or an error."""
        empty = pa.RecordBatch.from_pylist([], schema=self._schema)
        text = json.dumps([type(note).__name__, *note])
        self._stream.write_batch(empty, custom_metadata={"note": text})
        return self._taken()

    def close(self) -> bytes:
        """Return the end-of-stream mark."""
        self._stream.close()
        return self._taken()

    def _taken(self) -> bytes:
        data = self._sink.getvalue()
        self._sink.seek(0)
        self._sink.truncate()
        return data


def read_frames(chunks: Iterable[bytes], hear: Callable[[Heard], None]) -> pa.Schema:
    """Read one stream to its end and return its schema.

    Parameters
    ----------
    chunks
        The bytes as they arrive.
    hear
        Receives record batches, progress and errors as they arrive; an exception ends the reading.

    Raises
    ------
    pyarrow.ArrowInvalid
        If the bytes are not an Arrow stream.
    """
    reader = pa.ipc.open_stream(_ChunkFile(iter(chunks)))
    while True:
        try:
            batch, metadata = reader.read_next_batch_with_custom_metadata()
        except StopIteration:
            return reader.schema
        if metadata is not None:
            kind, *fields = json.loads(metadata[b"note"])
            hear(Progress(*fields) if kind == Progress.__name__ else FrameError(*fields))
        elif batch.num_rows:
            hear(batch)


class _ChunkFile(io.RawIOBase):
    """A readable file for pyarrow, over an iterator of chunks."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1, /) -> bytes:
        parts, wanted = [], size
        while wanted != 0:
            if not self._rest:
                chunk = next(self._chunks, None)
                if chunk is None:
                    break
                self._rest = memoryview(chunk)
            part = self._rest[:wanted] if wanted > 0 else self._rest
            self._rest = self._rest[len(part) :]
            parts.append(part)
            wanted -= len(part) if wanted > 0 else 0
        return b"".join(parts)
