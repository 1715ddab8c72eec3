"""Fused interventions: one slot holds the k-th intervention at one layer of every row.

With ``p = <h, w>`` every operation is ``h + scale * w``:

========  ==========  =========================
op        w           scale
========  ==========  =========================
add       v           coefficient
cap       v / |v|     max(floor - p, 0)
ablate    v / |v|     -p
========  ==========  =========================

with ``v`` the vector as given and ``h`` the residual stream after the block. Rows with different
operations, vectors, coefficients and floors thus share the same few tensor operations. All
arithmetic is float32.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from personae.api.requests import Intervention, Operation, Positions
from personae.inference.chat_model import Vectors, check_layer, direction_of
from personae.inference.torch_engine.model_loading import LoadedModel, device_of

# Codes of position rules; 0 is "no intervention here".
RULES: dict[Positions, int] = {
    "prompt": 1,
    "response": 2,
    "all": 3,
    "response_from_prompt_end": 4,
}


class PlanRow(NamedTuple):
    """Interventions of one row and the number of its prompt tokens."""

    interventions: Sequence[Intervention]
    n_prompt: int


class InterventionSlot(NamedTuple):
    """The k-th intervention at one layer of every row; arrays have one entry per row.

    ``rule`` and ``source`` (the intervention's index in its row) stay on the host;
    ``direction`` indexes ``directions`` [n_directions, hidden]; all tensors are float32 on the
    layer's device except the index.
    """

    rule: NDArray[np.int64]
    source: NDArray[np.int64]
    directions: Tensor
    direction: Tensor
    added: Tensor
    ablated: Tensor
    capped: Tensor
    floor: Tensor
    ops: frozenset[Operation]

    def take(self, batch: NDArray[np.int64]) -> BoundSlot | None:
        """Return the slot for the rows of a batch that have this intervention, or None."""
        places = np.flatnonzero(self.rule[batch])
        if not len(places):
            return None
        device, numbers = self.direction.device, batch[places]
        index = torch.from_numpy(numbers).to(device)
        everyone = len(places) == len(batch)
        return BoundSlot(
            places=places,
            rows=None if everyone else torch.from_numpy(places).to(device),
            rule=self.rule[numbers],
            source=self.source[numbers],
            acted=np.zeros(len(places), dtype=np.int64),
            key=(self.rule[numbers].tobytes(), places.tobytes()),
            direction=self.directions[self.direction[index], None],
            added=self.added[index, None],
            ablated=self.ablated[index, None],
            capped=self.capped[index, None],
            floor=self.floor[index, None],
            ops=self.ops,
        )


class BoundSlot(NamedTuple):
    """A slot restricted to those rows of the current batch that have it, in batch order.

    ``places`` are their indices in the batch, ``rows`` the same on the device, None for all rows;
    ``acted`` counts the positions at which each was applied; slots with equal ``key`` act at the
    same positions; ``direction`` is [rows, 1, hidden].
    """

    places: NDArray[np.int64]
    rows: Tensor | None
    rule: NDArray[np.int64]
    source: NDArray[np.int64]
    acted: NDArray[np.int64]
    key: tuple[bytes, bytes]
    direction: Tensor
    added: Tensor
    ablated: Tensor
    capped: Tensor
    floor: Tensor
    ops: frozenset[Operation]

    def scale(self, hidden: Tensor) -> Tensor:
        """Return the factor of ``direction`` at every position, [batch, time] float32."""
        scale = self.added
        if self.ops != {"add"}:
            # A batched product of one column takes three times as long.
            projection = torch.linalg.vecdot(hidden, self.direction)
            if "ablate" in self.ops:
                scale = scale - self.ablated * projection
            if "cap" in self.ops:
                scale = scale + self.capped * (self.floor - projection).clamp_min(0)
        return scale.expand(hidden.shape[:2])


class _PlacedIntervention(NamedTuple):
    """An intervention with its row and its index among the row's interventions."""

    row: int
    source: int
    intervention: Intervention


def build_slots(
    loaded: LoadedModel, rows: Sequence[PlanRow], vectors: Vectors
) -> dict[int, list[InterventionSlot]]:
    """Arrange the rows' interventions by layer, then by order within row and layer."""
    placed: dict[int, dict[int, list[_PlacedIntervention]]] = defaultdict(lambda: defaultdict(list))
    for number, row in enumerate(rows):
        depth: dict[int, int] = defaultdict(int)
        for source, intervention in enumerate(row.interventions):
            layer = intervention.layer
            check_layer(loaded, layer)
            placed[layer][depth[layer]].append(_PlacedIntervention(number, source, intervention))
            depth[layer] += 1
    return {
        layer: [_build_slot(loaded, layer, len(rows), p, vectors) for p in by_depth.values()]
        for layer, by_depth in placed.items()
    }


def _build_slot(
    loaded: LoadedModel,
    layer: int,
    n_rows: int,
    placed: Sequence[_PlacedIntervention],
    vectors: Vectors,
) -> InterventionSlot:
    rule, source, direction = (np.zeros(n_rows, dtype=np.int64) for _ in range(3))
    numbers = {op: np.zeros(n_rows, dtype=np.float32) for op in ("add", "ablate", "cap", "floor")}
    directions: dict[tuple[str, bool], int] = {}
    for row, place, intervention in placed:
        raw = intervention.op == "add"
        rule[row], source[row] = RULES[intervention.positions], place
        key = (intervention.vector, raw)
        direction[row] = directions.setdefault(key, len(directions))
        numbers[intervention.op][row] = intervention.coefficient if raw else 1.0
        numbers["floor"][row] = intervention.floor
    table = np.stack([direction_of(vectors, name, raw, loaded) for name, raw in directions])
    device = device_of(loaded.blocks[layer])
    on_device = {name: torch.from_numpy(array).to(device) for name, array in numbers.items()}
    return InterventionSlot(
        rule=rule,
        source=source,
        directions=torch.from_numpy(table).to(device),
        direction=torch.from_numpy(direction).to(device),
        added=on_device["add"],
        ablated=on_device["ablate"],
        capped=on_device["cap"],
        floor=on_device["floor"],
        ops=frozenset(item.intervention.op for item in placed),
    )
