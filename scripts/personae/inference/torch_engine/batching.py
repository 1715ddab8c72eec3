"""Batches: padding on the right, sorting by length, halving when memory runs out."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from personae.inference.engine_errors import ModelError, RequestError
from personae.inference.torch_engine.model_loading import LoadedModel

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")

# Largest number of tokens of a forward pass on a CPU, whose caches hold their activations.
_CPU_TOKENS = 4096
# ASSUME: the same on a GPU, where it bounds the memory of activations; the best was not measured.
_GPU_TOKENS = 32768
# Overhead of a forward pass in tokens of a large one: calls, and slower products of small matrices.
# ASSUME: the GPU's was not measured; it is of the order of the tokens that saturate a GPU.
_CPU_PASS, _GPU_PASS = 64, 1024

# Largest number of rows that an error names.
_NAMED = 5

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class PaddedTokens:
    """Sequences padded on the right.

    ``ids`` int64 [rows, longest] on the model's device, ``index`` int64 [rows, longest] on the
    host: the token's index in its row, -1 for padding.
    """

    ids: Tensor
    index: NDArray[np.int64]


def pad_right(loaded: LoadedModel, rows: Sequence[Sequence[int]]) -> PaddedTokens:
    """Pad token id lists on the right.

    A causal model needs no mask for such padding, since tokens attend only to earlier ones.
    """
    lengths = np.array([len(row) for row in rows])
    places = np.arange(lengths.max())
    index = np.where(places < lengths[:, None], places, -1)
    ids = np.zeros(index.shape, dtype=np.int64)
    ids[index >= 0] = np.concatenate([np.asarray(row, dtype=np.int64) for row in rows])
    return PaddedTokens(torch.from_numpy(ids).to(loaded.device), index)


def forward_tokens(loaded: LoadedModel, max_batch_tokens: int) -> int:
    """Return the largest number of tokens that one forward pass should have."""
    most = _CPU_TOKENS if loaded.device.type == "cpu" else _GPU_TOKENS
    return min(max_batch_tokens, most)


def pass_cost(loaded: LoadedModel) -> int:
    """Return the overhead of a forward pass, in tokens of a larger one."""
    return _CPU_PASS if loaded.device.type == "cpu" else _GPU_PASS


def batched(
    items: Iterable[_Item],
    size: Callable[[_Item], int],
    limit: int,
    *,
    cost: int = 0,
    beyond: int = 0,
) -> list[list[_Item]]:
    """Split consecutive items into batches that compute the fewest tokens, padding included.

    Parameters
    ----------
    items
        Items sorted by size, or nearly so, to keep padding small.
    size
        Returns the number of tokens of an item.
    limit
        A batch of several items keeps ``count * (largest size + beyond) <= limit``; an item above
        the limit is a batch by itself.
    cost
        Overhead of a batch in tokens: with 0 every size gets its own batch.
    beyond
        Further tokens of an item that take up memory but are computed elsewhere.
    """
    entries = list(items)
    least, begin = [0.0], [0]
    for end in range(1, len(entries) + 1):
        totals: list[tuple[float, int]] = []
        largest = 0
        for first in range(end - 1, -1, -1):
            largest = max(largest, size(entries[first]))
            count = end - first
            if count > 1 and count * (largest + beyond) > limit:
                break
            totals.append((least[first] + cost + count * largest, first))
        best, first = min(totals)
        least.append(best)
        begin.append(first)
    batches, end = [], len(entries)
    while end:
        batches.append(entries[begin[end] : end])
        end = begin[end]
    return batches[::-1]


@dataclass
class OversizedRows:
    """Rows that do not fit into memory even alone; they are refused after the others have run."""

    names: list[str] = field(default_factory=list)

    def add(self, name: str) -> None:
        """Record a row; the caller continues without it."""
        release_memory()
        logger.warning("row %r alone does not fit in memory; continuing with the others", name)
        self.names.append(name)

    def refuse(self, total: int) -> None:
        """Raise `RequestError` if any row was recorded; ``total`` is the number of all rows."""
        if self.names:
            count = len(self.names)
            names = ", ".join(map(repr, self.names[:_NAMED]))
            more = f" and {count - _NAMED} more" if count > _NAMED else ""
            what = f"row {names} alone does" if count == 1 else f"rows {names}{more} alone do"
            raise RequestError(
                f"{what} not fit in memory; the other {total - count} of {total} are done. Shorten "
                "what does not fit, or use a device with more memory"
            )


def halving(
    batch: list[_Item],
    run: Callable[[list[_Item]], _Result],
    name: Callable[[_Item], str],
    unfit: OversizedRows,
) -> Iterator[_Result]:
    """Run a batch; if memory runs out, run its halves; record single rows that do not fit."""
    try:
        result = run(batch)
    except RuntimeError as error:
        if not is_out_of_memory(error):
            raise
    else:
        yield result
        return
    # Outside the handler, since the error's traceback keeps the failed attempt's tensors alive.
    if len(batch) == 1:
        unfit.add(name(batch[0]))
        return
    release_memory()
    logger.warning("out of memory with %d rows; continuing with half as many", len(batch))
    middle = len(batch) // 2
    yield from halving(batch[:middle], run, name, unfit)
    yield from halving(batch[middle:], run, name, unfit)


def is_out_of_memory(error: Exception) -> bool:
    """Return whether an error is a failed allocation by torch, cuBLAS or the CPU allocator."""
    marks = ("DefaultCPUAllocator", "CUBLAS_STATUS_ALLOC_FAILED")
    return isinstance(error, torch.OutOfMemoryError) or any(mark in str(error) for mark in marks)


def release_memory() -> None:
    """Release cached device memory before a smaller attempt."""
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


@contextmanager
def head_at(loaded: LoadedModel, rows: Tensor, columns: Tensor) -> Iterator[None]:
    """Compute logits at chosen positions only, in the forward passes of the block.

    Logits then have shape [1, n, vocabulary], entry ``i`` for batch row ``rows[i]`` at column
    ``columns[i]``. The head's *input* is reduced, so operations after the head (scaling,
    soft-capping) are unchanged.
    """
    head = loaded.model.get_output_embeddings()
    if not isinstance(head, nn.Module):
        raise ModelError(f"{type(loaded.model).__name__} has no output embeddings")

    def pick(module: nn.Module, args: tuple[Any, ...]) -> tuple[Tensor]:
        hidden: Tensor = args[0]
        return (hidden[rows.to(hidden.device), columns.to(hidden.device)].unsqueeze(0),)

    handle = head.register_forward_pre_hook(pick)
    try:
        yield
    finally:
        handle.remove()
