"""Interventions on the residual stream: per row, per layer, counted.

One `Plan` covers the rows of one batch; `personae.inference.torch_engine.intervention_slots`
describes how rows with different interventions share tensor operations. Layer ``l`` is the output
of block ``l``. Where an intervention does not act (another row, another position, padding, an
inactive floor, a zero coefficient), the stream keeps its values exactly: it is converted to
float32, zero is added, and it is converted back.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from personae.api.requests import Positions
from personae.inference.engine_errors import InterventionError
from personae.inference.torch_engine.intervention_slots import BoundSlot, PlanRow, build_slots
from personae.inference.torch_engine.model_loading import LoadedModel


class _SlotActivity(NamedTuple):
    """Positions spared by a slot, bool [its rows, time] or None, and acted positions per row."""

    spared: Tensor | None
    counts: NDArray[np.int64]


class Plan:
    """Interventions of a batch, and the number of positions at which each of them acted.

    Use it inside `intervene`: set the rows of the batch with `bind` and, before every forward pass,
    the indices of their tokens with `at`; check the counts at the end with `verify`.

    Attributes
    ----------
    fired
        int64 [n_rows, most interventions of a row]: positions at which the hook applied each.

    Raises
    ------
    RequestError
        If the model has no such layer, or a vector has another size or is zero.
    """

    def __init__(
        self,
        loaded: LoadedModel,
        rows: Sequence[PlanRow],
        vectors: Mapping[str, NDArray[np.float32]],
    ) -> None:
        self.rows = rows
        self._n_prompt = np.array([row.n_prompt for row in rows], dtype=np.int64)
        width = max((len(row.interventions) for row in rows), default=0)
        self.fired = np.zeros((len(rows), width), dtype=np.int64)
        self._slots = build_slots(loaded, rows, vectors)
        self._bound: dict[int, list[BoundSlot]] = {}

    @property
    def layers(self) -> list[int]:
        """Layers that have an intervention, ascending."""
        return sorted(self._slots)

    def bind(self, rows: Sequence[int]) -> None:
        """Declare that batch row ``i`` of the next forward passes is the plan's ``rows[i]``."""
        self._count()
        self._batch = np.asarray(rows, dtype=np.int64)
        self._bound = {
            layer: [bound for slot in slots if (bound := slot.take(self._batch)) is not None]
            for layer, slots in self._slots.items()
        }
        self._masks: NDArray[np.bool_] = np.empty(0, dtype=np.bool_)

    def at(self, index: NDArray[np.int64]) -> None:
        """Announce the next forward pass: token indices [batch, time], -1 for padding."""
        n_prompt, token = self._n_prompt[self._batch, None], index >= 0
        response = token & (index >= n_prompt)
        from_end = token & (index >= n_prompt - 1)
        # In the order of the codes in `RULES`; code 0 acts nowhere.
        masks = np.stack((np.zeros_like(token), token & ~response, response, token, from_end))
        # They usually stay the same from one decoding step to the next.
        if not np.array_equal(masks, self._masks):
            self._masks = masks
            self._active: dict[Hashable, _SlotActivity | None] = {}

    def apply(self, layer: int, hidden: Tensor) -> Tensor:
        """Return the residual stream [batch, time, hidden] after the layer's interventions."""
        for slot in self._bound[layer]:
            active = self._where(slot, hidden.device)
            if active is None:
                continue
            rows = hidden if slot.rows is None else hidden.index_select(0, slot.rows)
            wide = rows.float()
            scale = slot.scale(wide)
            if active.spared is not None:
                scale = scale.masked_fill(active.spared, 0.0)
            rows = torch.addcmul(wide, scale.unsqueeze(2), slot.direction).to(hidden.dtype)
            hidden = rows if slot.rows is None else hidden.index_copy(0, slot.rows, rows)
            np.add(slot.acted, active.counts, out=slot.acted)
        return hidden

    def _where(self, slot: BoundSlot, device: torch.device) -> _SlotActivity | None:
        """Return where a slot acts in this forward pass; None if it does not act."""
        # Layers of a band have the same position rules: build and transfer each mask once.
        key = (device, slot.key)
        if key not in self._active:
            mask = self._masks[slot.rule, slot.places]
            on_device = None if mask.all() else torch.from_numpy(~mask).to(device)
            self._active[key] = _SlotActivity(on_device, mask.sum(1)) if mask.any() else None
        return self._active[key]

    def _count(self) -> None:
        """Add the counts of the batch's slots to ``fired``."""
        for slots in self._bound.values():
            for slot in slots:
                self.fired[self._batch[slot.places], slot.source] += slot.acted
                slot.acted[:] = 0

    def verify(self, row: int, start: int, stop: int) -> int:
        """Compare a row's counts with those expected for its processed tokens ``[start, stop)``.

        Returns
        -------
        int
            Number of positions at which the row's interventions acted, summed over them.

        Raises
        ------
        InterventionError
            If an intervention acted at more or fewer positions than expected.
        """
        self._count()
        return verify_counts(self.rows[row], self.fired[row], start, stop)


def verify_counts(row: PlanRow, counts: NDArray[np.integer], start: int, stop: int) -> int:
    """Compare counts of a row's interventions with those of its processed tokens ``[start, stop)``.

    Returns
    -------
    int
        Sum of the counts.

    Raises
    ------
    InterventionError
        If an intervention acted at more or fewer positions than expected.
    """
    for intervention, count in zip(row.interventions, counts, strict=False):
        expected = expected_positions(intervention.positions, row.n_prompt, start, stop)
        if count != expected:
            raise InterventionError(
                f"{intervention.op} at layer {intervention.layer} acted at {count} positions "
                f"of a row, not at {expected}"
            )
    return int(counts.sum())


def expected_positions(positions: Positions, n_prompt: int, start: int, stop: int) -> int:
    """Return how many token indices of ``[start, stop)`` a position rule covers."""
    if positions == "prompt":
        stop = min(stop, n_prompt)
    elif positions == "response":
        start = max(start, n_prompt)
    elif positions == "response_from_prompt_end":
        start = max(start, n_prompt - 1)
    return max(stop - start, 0)


class Interventions(Protocol):
    """What `intervene` hooks into a model, such as a `Plan`."""

    @property
    def layers(self) -> Sequence[int]:
        """Layers that have an intervention."""

    def apply(self, layer: int, hidden: Tensor) -> Tensor:
        """Return the residual stream [batch, time, hidden] after the layer's interventions."""


@contextmanager
def intervene(loaded: LoadedModel, interventions: Interventions) -> Iterator[None]:
    """Hook interventions into the model's blocks for the duration of the ``with`` block."""
    handles = [
        loaded.blocks[layer].register_forward_hook(_hook(interventions, layer))
        for layer in interventions.layers
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _hook(interventions: Interventions, layer: int) -> Callable[[nn.Module, Any, Any], Any]:
    """Return a forward hook; a block returns the stream, or a tuple that starts with it."""

    def hook(module: nn.Module, args: Any, output: Any) -> Any:
        if isinstance(output, tuple):
            return (interventions.apply(layer, output[0]), *output[1:])
        return interventions.apply(layer, output)

    return hook
