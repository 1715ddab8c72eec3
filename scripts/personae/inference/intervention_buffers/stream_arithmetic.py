"""The arithmetic of interventions on the tokens of one step, from tables and token buffers alone.

Nothing is read back to the host. Arithmetic is float32; the stream is rounded to its dtype after
every intervention, as in the torch engine. A token that no intervention acts on keeps its values
exactly.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from numpy.typing import NDArray
from torch import Tensor

from personae.inference.intervention_buffers.intervention_tables import InterventionTables


def on_device(array: NDArray[Any], device: torch.device) -> Tensor:
    """Copy an array to a device without waiting for what runs there; on a CPU nothing is copied."""
    tensor = torch.from_numpy(array)
    if device.type == "cuda":  # torch keeps the pinned copy until the transfer is over
        return tensor.pin_memory().to(device, non_blocking=True)
    return tensor


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
            offsets=on_device(tables.offsets, device),
            directions=on_device(tables.directions, device),
            direction=on_device(tables.direction, device),
            rule=on_device(tables.rule, device),
            source=on_device(tables.source, device),
            numbers=on_device(tables.numbers, device),
            counts=torch.zeros(rows * tables.width, dtype=torch.int32, device=device),
        )


# Steps of at most so many tokens keep what they look up, which decoding repeats from step to step.
# Larger ones would need too much memory: float32 [tokens, hidden] for every layer that steers.
_KEPT_TOKENS = 256


class _Entry(NamedTuple):
    """One entry of every token's program: where it acts and counts, and its operation.

    ``acts`` is bool [tokens, 1], ``direction`` float32 [tokens, hidden], the others [tokens].
    """

    acts: Tensor
    counter: Tensor
    direction: Tensor
    added: Tensor
    ablated: Tensor
    capped: Tensor
    floor: Tensor


@dataclass(frozen=True)
class StepTokens:
    """What the tokens of a step are, int32 [tokens] each.

    ``program`` is 0 where nothing acts, ``bits`` says prompt or response, ``counter`` is the first
    of the row's counters. ``kept`` holds what was looked up for a layer's places.
    """

    program: Tensor
    bits: Tensor
    counter: Tensor
    kept: dict[tuple[int, int], _Entry] = field(default_factory=dict)


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
        The changed stream, and bool [tokens, 1]: where any intervention acted.
    """
    acted: Tensor | None = None
    for place in range(depth):
        entry = tokens.kept.get((layer, place))
        if entry is None:
            entry = _look_up(tables, tokens, layer, place)
            if len(stream) <= _KEPT_TOKENS:
                tokens.kept[layer, place] = entry
        stream = _apply(stream, entry)
        tables.counts.index_add_(0, entry.counter, entry.acts.flatten().int())
        acted = entry.acts if acted is None else acted | entry.acts
    assert acted is not None, "depth is at least 1"
    return stream, acted


def _look_up(tables: DeviceTables, tokens: StepTokens, layer: int, place: int) -> _Entry:
    """Return the ``place``-th entry at a layer of every token's program."""
    starts = tables.offsets[layer]
    number = starts[tokens.program] + place
    entry = number.clamp_max(len(tables.rule) - 1)
    acts = (number < starts[tokens.program + 1]) & (tables.rule[entry] & tokens.bits).bool()
    return _Entry(
        acts.unsqueeze(1),
        tokens.counter + tables.source[entry],
        tables.directions[tables.direction[entry]],
        *tables.numbers[entry].unbind(1),
    )


def _apply(stream: Tensor, entry: _Entry) -> Tensor:
    """Apply an entry to every token where it acts."""
    wide = stream.float()
    projection = torch.linalg.vecdot(wide, entry.direction)
    missing = (entry.floor - projection).clamp_min_(0)
    scale = (entry.added - entry.ablated * projection).addcmul_(entry.capped, missing)
    changed = torch.addcmul(wide, scale.unsqueeze(1), entry.direction).to(stream.dtype)
    return torch.where(entry.acts, changed, stream)
