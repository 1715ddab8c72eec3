"""Rows that came before a node failed: its next attempt asks the model server for the others.

A row is known by all that determines its result: the node and its code, the weights and their
dtype, the request without its rows, and the row itself. What came is written when the node fails,
for whatever reason, and removed when it succeeds.
"""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
from collections.abc import Mapping
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
from personae.base.atomic_files import replace_atomically

if TYPE_CHECKING:  # costs import time that a node may never need to spend
    import pyarrow as pa

RowsRequest = GenerateRequest | ActivationsRequest | LikelihoodRequest
Row = GenerateRow | ActivationRow | LikelihoodRow
Batches = dict[str, list["pa.RecordBatch"]]

LOG = logging.getLogger("personae")

# Most bytes of a finished request that are held until the node ends, should it fail later on.
_MOST_HELD = 2**26
_ROW_KEY = b"personae.row"


class KeptRows:
    """A context manager around a node's requests.

    Parameters
    ----------
    folder
        Where kept files of the study are.
    node
        What tells this node, its code and its model from others.
    """

    def __init__(self, folder: Path, node: Mapping[str, Any]) -> None:
        self._folder = folder / f"rows-{_digest(json.dumps(node, sort_keys=True))}"
        self._kinds: dict[str, Batches] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            shutil.rmtree(self._folder, ignore_errors=True)
        else:
            self._save()

    def of(self, path: str, request: RowsRequest) -> Kept:
        """Return what is there of a request."""
        kind = _digest(path + request.model_dump_json(exclude={"rows"}))
        if kind not in self._kinds:
            self._kinds[kind] = _load(self._folder / kind)
        return Kept(request, self._kinds[kind])

    def _save(self) -> None:
        for kind, batches in self._kinds.items():
            if batches:
                _save(batches, self._folder / kind)
            else:
                (self._folder / kind).unlink(missing_ok=True)


class Kept:
    """The batches of one request: those kept, and those that come.

    A row has one batch, or one for each of its spans.
    """

    def __init__(self, request: RowsRequest, batches: Batches) -> None:
        self._request, self._batches = request, batches
        self._keys = {row.id: _digest(row.model_dump_json()) for row in request.rows}
        self._missing = [row for row in request.rows if not self._is_there(row)]
        for row in self._missing:
            self._batches.pop(self._keys[row.id], None)

    def rest(self) -> RowsRequest:
        """Return the request of the rows that are missing."""
        return self._request.model_copy(update={"rows": self._missing})

    def take(self, batch: pa.RecordBatch) -> None:
        """Keep a batch that came."""
        key = self._keys[batch["id"][0].as_py()]
        self._batches.setdefault(key, []).append(batch)

    def all(self) -> list[pa.RecordBatch]:
        """Return the batches of all rows, in the order of the request; it is finished."""
        found = [b for row in self._request.rows for b in self._batches.get(self._keys[row.id], ())]
        if sum(batch.nbytes for batch in found) > _MOST_HELD:
            self.forget()
        return found

    def forget(self) -> None:
        """Keep nothing of this request."""
        for key in self._keys.values():
            self._batches.pop(key, None)

    def _is_there(self, row: Row) -> bool:
        wanted = len(row.spans) if isinstance(row, ActivationRow) else 1
        return len(self._batches.get(self._keys[row.id], ())) == wanted


def _load(path: Path) -> Batches:
    """Read what an earlier attempt kept; nothing if there is none or it cannot be read."""
    import pyarrow as pa

    batches: Batches = {}
    try:
        with path.open("rb") as file, pa.ipc.open_stream(file) as reader:
            for batch, metadata in reader.iter_batches_with_custom_metadata():
                batches.setdefault(metadata[_ROW_KEY].decode(), []).append(batch)
    except FileNotFoundError:
        pass
    except (pa.ArrowException, OSError) as error:
        LOG.warning("%s cannot be read (%s): its rows are asked for again", path, error)
        return {}
    return batches


def _save(batches: Batches, path: Path) -> None:
    import pyarrow as pa

    schema = next(batch for some in batches.values() for batch in some).schema
    with replace_atomically(path) as partial, pa.ipc.new_stream(str(partial), schema) as writer:
        for key, some in batches.items():
            for batch in some:
                writer.write_batch(batch, custom_metadata={_ROW_KEY: key.encode()})


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:24]
