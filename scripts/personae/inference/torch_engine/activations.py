"""Extract mean activations over token spans, at all layers at once.

``vectors[i]`` is the mean, over a span's tokens, of the residual stream after block ``layers[i]``
(for the last block, before the final norm), accumulated in float32 whatever the model's dtype. Each
block's output is reduced as it is computed, so memory holds one layer's stream at a time; the head
is not run. Prefixes that rows share before their first span are computed once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from personae.api.requests import ActivationRow, ActivationsRequest
from personae.api.wire_encoding import unpack_vector
from personae.inference.chat_model import Vectors, layers_of
from personae.inference.engine_errors import InterventionError
from personae.inference.torch_engine.batching import OversizedRows, forward_tokens, halving
from personae.inference.torch_engine.forwarding import FedTokens, SharedPrefixes, forward
from personae.inference.torch_engine.model_loading import LoadedModel
from personae.inference.torch_engine.prefix_sharing import NumberedRow, compute_prefixes, divide

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class SpanActivation:
    """Mean activation of one span: ``vectors`` float32 [requested layers, hidden]."""

    id: str
    span: str
    n_tokens: int
    vectors: NDArray[np.float32]


def activations(
    loaded: LoadedModel,
    request: ActivationsRequest,
    max_batch_tokens: int = 32768,
    progress: Progress | None = None,
) -> Iterator[SpanActivation]:
    """Yield the mean activation of every span, batch by batch.

    Parameters
    ----------
    max_batch_tokens
        Largest number of tokens of a forward pass (rows x longest row).
    progress
        Called with the numbers of finished rows and of all rows; may raise to stop the work.

    Raises
    ------
    RequestError
        If the model has no such layer or token id, or a row is too long for it. At the end, with
        names, if rows do not fit in memory even alone.
    InterventionError
        If an intervention acted at other positions than requested, or none of the request acted.
    """
    layers = layers_of(loaded, request)
    vectors = {name: unpack_vector(text) for name, text in request.vectors.items()}
    limit, done, fired = forward_tokens(loaded, max_batch_tokens), 0, 0
    rows = [
        FedTokens(tuple(row.token_ids), tuple(row.interventions), row.n_prompt)
        for row in request.rows
    ]
    unfit = OversizedRows()
    before = [min(row.n_prompt, *(span.start for span in row.spans)) for row in request.rows]

    for group in divide(loaded, rows, before, limit):
        group, prefixes = compute_prefixes(loaded, group, vectors, limit)

        def extract(
            batch: list[NumberedRow], prefixes: SharedPrefixes | None = prefixes
        ) -> _BatchMeans:
            return _extract(loaded, request.rows, batch, layers, vectors, prefixes)

        for batch in group.batches:
            for part in halving(batch, extract, lambda n: request.rows[n.number].id, unfit):
                yield from part.spans
                fired, done = fired + part.fired, done + part.rows
                if progress is not None:
                    progress(done, len(request.rows))
    unfit.refuse(len(rows))
    if not fired and any(row.interventions for row in request.rows):
        raise InterventionError("no intervention of the request ever acted")


@dataclass(frozen=True)
class _BatchMeans:
    """Results of one batch: its number of rows, of positions intervened at, and the means."""

    rows: int
    fired: int
    spans: list[SpanActivation]


@torch.inference_mode()
def _extract(
    loaded: LoadedModel,
    rows: Sequence[ActivationRow],
    batch: Sequence[NumberedRow],
    layers: Sequence[int],
    vectors: Vectors,
    prefixes: SharedPrefixes | None,
) -> _BatchMeans:
    """Run one batch and reduce every layer as it is computed."""
    feds = [n.fed for n in batch]
    reducer = _Reducer([rows[n.number] for n in batch], [fed.shared for fed in feds])
    _, fired = forward(
        loaded, feds, vectors, prefixes, around=reducer.hooked(loaded, layers), head=False
    )
    return _BatchMeans(len(batch), sum(fired), reducer.results(layers))


class _Reducer:
    """Reduces each layer's stream [rows, time, hidden] to span means as it is computed."""

    def __init__(self, rows: Sequence[ActivationRow], shared: Sequence[int]) -> None:
        self._rows = rows
        places = [
            [(span.start - before, span.end - before) for span in row.spans]
            for row, before in zip(rows, shared, strict=True)
        ]
        self._first = min(start for row in places for start, _ in row)
        self._last = max(end for row in places for _, end in row)
        most = max(len(row) for row in places)
        weights = np.zeros((len(rows), most, self._last - self._first), dtype=np.float32)
        self._lengths = torch.ones(len(rows), most, 1)
        for i, row in enumerate(places):
            for j, (start, end) in enumerate(row):
                weights[i, j, start - self._first : end - self._first] = 1
                self._lengths[i, j] = end - start
        self._weights = torch.from_numpy(weights)
        self._sums: dict[int, Tensor] = {}

    @contextmanager
    def hooked(self, loaded: LoadedModel, layers: Sequence[int]) -> Iterator[None]:
        """Reduce the layers' streams for the duration of the block."""
        with ExitStack() as stack:
            for layer in set(layers):
                handle = loaded.blocks[layer].register_forward_hook(self._hook(layer))
                stack.callback(handle.remove)
            yield

    def _hook(self, layer: int) -> Callable[[nn.Module, Any, Any], None]:
        """Return a forward hook that stores the layer's span means."""

        def reduce(module: nn.Module, args: Any, output: Any) -> None:
            hidden: Tensor = output[0] if isinstance(output, tuple) else output
            window = hidden[:, self._first : self._last].float()
            self._weights = self._weights.to(hidden.device)
            self._sums[layer] = torch.bmm(self._weights, window)

        return reduce

    def results(self, layers: Sequence[int]) -> list[SpanActivation]:
        """Return the means of all spans, row by row, in one transfer from the device."""
        device = self._sums[layers[0]].device
        sums = torch.stack([self._sums[layer].to(device) for layer in layers], dim=2).cpu()
        stacked = (sums / self._lengths.unsqueeze(-1)).numpy()
        return [
            SpanActivation(row.id, span.name, span.end - span.start, stacked[i, j])
            for i, row in enumerate(self._rows)
            for j, span in enumerate(row.spans)
        ]
