"""The arithmetic of interventions on the tokens of one step, from tables and token buffers alone.

All shapes are fixed by the buffers and nothing is read back to the host, so the same operations can
be recorded in a CUDA graph. Arithmetic is float32; the stream is rounded to its dtype after every
intervention, as in the torch engine. A token that no intervention acts on keeps its values exactly.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from personae.inference.vllm_engine.intervention_tables import InterventionTables


@dataclass(frozen=True)
class DeviceTables:
    """`InterventionTables` on the device, and the counters of the rows.

    ``counts`` is int32 [rows * width + width]; the last ``width`` counters take what must not
    count: tokens that are computed again.
    """

    offsets: Tensor
    directions: Tensor
    direction: Tensor
    rule: Tensor
    source: Tensor
    numbers: Tensor
    counts: Tensor

    @classmethod
    def of(cls, tables: InterventionTables, device: torch.device) -> DeviceTables:
        """Copy tables to a device, all counters zero."""
        rows = len(tables.program) + 1
        return cls(
            offsets=torch.from_numpy(tables.offsets).to(device),
            directions=torch.from_numpy(tables.directions).to(device),
            direction=torch.from_numpy(tables.direction).to(device),
            rule=torch.from_numpy(tables.rule).to(device),
            source=torch.from_numpy(tables.source).to(device),
            numbers=torch.from_numpy(tables.numbers).to(device),
            counts=torch.zeros(rows * tables.width, dtype=torch.int32, device=device),
        )


@dataclass(frozen=True)
class StepTokens:
    """Rows and positions of the tokens of a step, int32 [tokens] each.

    ``program`` is 0 where nothing acts, ``bits`` says prompt or response, ``counter`` is the first
    of the row's counters.
    """

    program: Tensor
    bits: Tensor
    counter: Tensor


def intervene_on(
    stream: Tensor, tables: DeviceTables, tokens: StepTokens, layer: int, depth: int
) -> tuple[Tensor, Tensor]:
    """Apply a layer's interventions to the stream of a step.

    Parameters
    ----------
    stream
        [tokens, hidden], any float dtype: the residual stream after block ``layer``.
    depth
        Most entries that a program has at this layer.

    Returns
    -------
    tuple
        The changed stream, and bool [tokens]: where any intervention acted.
    """
    starts = tables.offsets[layer]
    first, end = starts[tokens.program], starts[tokens.program + 1]
    acted = torch.zeros_like(first, dtype=torch.bool)
    last = len(tables.rule) - 1
    for place in range(depth):
        entry = (first + place).clamp_max(last)
        acts = (first + place < end) & (tables.rule[entry] & tokens.bits).bool()
        stream = _apply(stream, tables, entry, acts)
        where = tokens.counter + tables.source[entry]
        tables.counts.index_add_(0, where, acts.int())
        acted |= acts
    return stream, acted


def _apply(stream: Tensor, tables: DeviceTables, entry: Tensor, acts: Tensor) -> Tensor:
    """Apply one entry to every token where it acts."""
    wide = stream.float()
    direction = tables.directions[tables.direction[entry]]
    added, ablated, capped, floor = tables.numbers[entry].unbind(1)
    projection = torch.linalg.vecdot(wide, direction)
    scale = added - ablated * projection + capped * (floor - projection).clamp_min(0)
    changed = torch.addcmul(wide, scale.unsqueeze(1), direction).to(stream.dtype)
    return torch.where(acts.unsqueeze(1), changed, stream)
