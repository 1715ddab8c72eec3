"""Sums of the residual stream over token spans, accumulated on the device in float32."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from personae.inference.intervention_buffers.stream_arithmetic import on_device

_Ints = NDArray[np.int32]


@dataclass(frozen=True)
class SpanTable:
    """Spans to sum over; free of torch, so that it can be sent.

    ``spans`` is int32 [n_spans, 3]: row, first token, end (exclusive); ``layers`` are 0-based.
    """

    spans: NDArray[np.int32]
    layers: Sequence[int]


class SpanSums:
    """Adds up what the steps of a batch bring, in whatever pieces the prompts come.

    The sums stay on the device until `take`, in one transfer.
    """

    def __init__(self, table: SpanTable, hidden_size: int, device: torch.device) -> None:
        self._spans, self._device = table.spans, device
        self._place = {layer: i for i, layer in enumerate(table.layers)}
        shape = (len(table.spans), len(self._place), hidden_size)
        self._sums = torch.zeros(shape, dtype=torch.float32, device=device)
        self._counted = np.zeros(len(table.spans), dtype=np.int64)

    def at(
        self, row: NDArray[np.int32], position: NDArray[np.int32], fresh: NDArray[np.bool_]
    ) -> None:
        """Announce a step: row and position of every token, and whether it is new.

        A token that is computed again, after a preemption, must not be added again.
        """
        here = np.flatnonzero(np.isin(self._spans[:, 0], row))
        owner, start, end = self._spans[here].T[:, :, None]
        inside = (owner == row) & (start <= position) & (position < end) & fresh
        here, inside = here[inside.any(1)], inside[inside.any(1)]
        self._counted[here] += inside.sum(1)
        self._here = on_device(here, self._device)
        self._inside = on_device(inside, self._device)

    def add(self, layer: int, stream: Tensor) -> None:
        """Add the stream [tokens, hidden] after block ``layer``."""
        place = self._place.get(layer)
        if place is not None and len(self._here):
            self._sums[:, place].index_add_(0, self._here, _weighted(self._inside, stream))

    def take(self) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Return the sums [n_spans, n_layers, hidden] and how many tokens entered each."""
        return self._sums.cpu().numpy(), self._counted


def _weighted(inside: Tensor, stream: Tensor) -> Tensor:
    """Return ``inside @ stream`` with float32 sums: [n, tokens] x [tokens, hidden]."""
    if stream.is_cuda and stream.dtype in (torch.bfloat16, torch.float16):
        # Zeros and ones are exact, and so are the products; the tensor cores add in float32.
        return torch.mm(inside.to(stream.dtype), stream, out_dtype=torch.float32)
    return inside.float() @ stream.float()
