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

# Most tokens of one forward pass on a CPU: the activations of more fall out of its caches.
_CPU_TOKENS = 4096
# One more forward pass costs as much as this many more tokens in a large one: calls, and products
# that are slower for being smaller. ASSUME: the GPU's is not measured, and of the order of what
# saturates it.
_CPU_PASS, _GPU_PASS = 64, 1024

# Most rows that an error names.
_NAMED = 5

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Padded:
    """Sequences padded on the right.

    ``ids`` int64 [rows, longest] on the model's device, ``index`` int64 [rows, longest] on the
    host: the token's place in its row, -1 where there is padding.
    """

    ids: Tensor
    index: NDArray[np.int64]


def pad_right(loaded: LoadedModel, rows: Sequence[Sequence[int]]) -> Padded:
    """Pad token id lists on the right.

    A causal model needs no mask for such padding: no real token sees what stands after it.
    """
    lengths = np.array([len(row) for row in rows])
    places = np.arange(lengths.max())
    index = np.where(places < lengths[:, None], places, -1)
    ids = np.zeros(index.shape, dtype=np.int64)
    ids[index >= 0] = np.concatenate([np.asarray(row, dtype=np.int64) for row in rows])
    return Padded(torch.from_numpy(ids).to(loaded.device), index)


def forward_tokens(loaded: LoadedModel, max_batch_tokens: int) -> int:
    """Return how many tokens one forward pass should have at most."""
    return min(max_batch_tokens, _CPU_TOKENS) if loaded.device.type == "cpu" else max_batch_tokens


def pass_cost(loaded: LoadedModel) -> int:
    """Return what one more forward pass costs, in tokens of a larger one."""
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
        Sorted by size, or nearly so, to waste no padding.
    size
        Tokens of an item.
    limit
        A batch of several items keeps ``count * (largest size + beyond) <= limit``; an item above
        the limit is a batch of its own.
    cost
        What a batch costs by itself, in tokens: with 0 every size gets its own batch.
    beyond
        Tokens that an item takes up besides, and that are computed elsewhere.
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
class Unfit:
    """Rows that do not fit into memory even alone: the others are run before they are refused."""

    names: list[str] = field(default_factory=list)

    def add(self, name: str) -> None:
        """Note a row and go on without it."""
        release_memory()
        logger.warning("row %r alone does not fit in memory; going on with the others", name)
        self.names.append(name)

    def refuse(self, total: int) -> None:
        """Raise `RequestError` if there is such a row; ``total`` counts all rows."""
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
    unfit: Unfit,
) -> Iterator[_Result]:
    """Run a batch; when memory does not suffice, run its halves instead, and name what is left."""
    try:
        result = run(batch)
    except RuntimeError as error:
        if not is_out_of_memory(error):
            raise
    else:
        yield result
        return
    # Outside of the handler: the error's traceback would keep the failed attempt's tensors.
    if len(batch) == 1:
        unfit.add(name(batch[0]))
        return
    release_memory()
    logger.warning("out of memory with %d rows; going on with half as many", len(batch))
    middle = len(batch) // 2
    yield from halving(batch[:middle], run, name, unfit)
    yield from halving(batch[middle:], run, name, unfit)


def is_out_of_memory(error: RuntimeError) -> bool:
    """Tell whether an error means that an allocation failed: torch's, cuBLAS's or the CPU's."""
    marks = ("DefaultCPUAllocator", "CUBLAS_STATUS_ALLOC_FAILED")
    return isinstance(error, torch.OutOfMemoryError) or any(mark in str(error) for mark in marks)


def release_memory() -> None:
    """Give cached device memory back before a smaller attempt."""
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


@contextmanager
def head_at(loaded: LoadedModel, rows: Tensor, columns: Tensor) -> Iterator[None]:
    """Compute logits at chosen positions only, in the forward passes of the block.

    Logits then have shape [1, n, vocabulary], entry ``i`` for batch row ``rows[i]`` at column
    ``columns[i]``. The head's *input* is cut, so that whatever a model does after its head
    (scaling, soft-capping) is done as always.
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
