"""A key-value cache to which rows are added and removed, as transformers cache layers.

All rows end at the same slot: a row of ``n`` tokens fills slots ``end - n`` to ``end``, so decoding
writes one slot for all rows and padding is always on the left. Rows enter after a prefill that was
padded on the *right*, which needs no attention mask, and leave at any time; the last rows then fill
the gaps.

On a CPU the cache grows by a few slots at a time, and attention reads all of it with free slots
masked, because oneDNN copies memory that is not contiguous. On other devices it is allocated once,
and attention reads the slots in use, rounded to a step at both ends: kernels are planned anew for
every width.

Layers with a sliding window keep their full history as well: the mask that transformers builds from
slot distances limits the window, which stays correct when rows enter and leave.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from transformers.cache_utils import Cache, CacheLayerMixin

from personae.inference.torch_engine.prefix_cache import PrefixCache

# Slots by which a CPU's cache grows: oneDNN's products of other widths take twice as long.
_CPU_STEP = 16
# ASSUME: what another device reads is rounded to this; the best step on a GPU was not measured.
_READ_STEP = 64


class FixedStep(NamedTuple):
    """A step of one token whose shape and addresses are fixed, so that it can be recorded.

    ``rows`` are written, those beyond the rows in use included; ``slot`` int64 [1] is the slot that
    they write, and ``read`` are the slots that attention reads.
    """

    rows: int
    slot: Tensor
    read: range


@dataclass(frozen=True)
class _EnteringRows:
    """Rows that enter: forwarded row ``source[i]`` becomes cache row ``first + i``.

    ``token`` [n, longest] is the forwarded token that each of the last ``longest`` slots holds;
    padding repeats the row's first token, which is finite and masked.
    """

    first: int
    source: Tensor
    token: Tensor


class _Geometry:
    """State shared by all layers: rows and slots in use, slots allocated, and entering rows.

    ``step`` is the number of slots by which the cache grows; None if it never grows.
    """

    def __init__(self, max_rows: int, capacity: int, step: int | None) -> None:
        self.max_rows, self.capacity, self.step = max_rows, capacity, step
        self.rows, self.start, self.end = 0, 0, 0
        self.width = 0 if step else capacity
        self.entry: _EnteringRows | None = None
        self.fixed: FixedStep | None = None

    def fit(self, slots: int) -> None:
        """Set the width to at least ``slots``."""
        if self.step:
            self.width = -(-slots // self.step) * self.step

    def read(self, tokens: int) -> range:
        """Return the slots that attention reads when every row gets ``tokens`` new ones."""
        if self.fixed is not None:
            return self.fixed.read
        if self.step:
            return range(self.width)
        first = self.start // _READ_STEP * _READ_STEP
        stop = -(-(self.end + tokens) // _READ_STEP) * _READ_STEP
        return range(first, min(stop, self.capacity))


class _KvLayer(CacheLayerMixin):
    """Keys and values [max_rows, heads, width, dim] of one layer, allocated at first use."""

    def __init__(self, geometry: _Geometry) -> None:
        super().__init__()
        self._geometry = geometry
        self._kept: tuple[Tensor, ...] = ()

    @property
    def is_compileable(self) -> bool:  # type: ignore[override]
        """Whether transformers must build a mask without looking at values on the device."""
        return self._geometry.fixed is not None

    def lazy_initialization(self, key_states: Tensor, value_states: Tensor) -> None:
        self._keep(tuple(self._allocated(states) for states in (key_states, value_states)))
        self.is_initialized = True

    def _allocated(self, like: Tensor) -> Tensor:
        # Zeros: a masked slot enters the weighted sum with weight 0, so it must be finite.
        _, heads, _, dim = like.shape
        return like.new_zeros((self._geometry.max_rows, heads, self._geometry.width, dim))

    def _keep(self, kept: tuple[Tensor, ...]) -> None:
        self._kept = kept
        self.keys, self.values = kept

    def update(
        self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any
    ) -> tuple[Tensor, Tensor]:
        """Store new states [rows, heads, time, dim]; return those that attention reads."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        g, new_states = self._geometry, (key_states, value_states)
        if g.entry is not None:
            self._store(g.entry, new_states)
            return new_states
        tokens, rows = key_states.shape[2], g.rows if g.fixed is None else g.fixed.rows
        for kept, new in zip(self._kept, new_states, strict=True):
            if g.fixed is None:
                kept[:rows, :, g.end : g.end + tokens] = new
            else:
                kept[:rows].index_copy_(2, g.fixed.slot, new)
        read = g.read(tokens)
        keys, values = (kept[:rows, :, read.start : read.stop] for kept in self._kept)
        return keys, values

    def adopt(self, states: tuple[Tensor, ...], entry: _EnteringRows) -> None:
        """Store rows of keys and values [rows, heads, slots, dim]."""
        if not self.is_initialized:
            self.lazy_initialization(*states)
        self._store(entry, states)

    def _store(self, entry: _EnteringRows, states: tuple[Tensor, ...]) -> None:
        """Write the entering rows, aligned on the right, into the last slots."""
        g = self._geometry
        source, token = entry.source.to(states[0].device), entry.token.to(states[0].device)
        rows = slice(entry.first, entry.first + len(source))
        for kept, new in zip(self._kept, states, strict=True):
            aligned = new.transpose(1, 2)[source.unsqueeze(1), token].transpose(1, 2)
            kept[rows, :, g.end - token.shape[1] : g.end] = aligned

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        g = self._geometry
        return query_length if g.entry else len(g.read(query_length)), 0

    def get_seq_length(self) -> int | Tensor:  # type: ignore[override]
        g = self._geometry
        if g.fixed is not None:
            return (g.fixed.slot - g.fixed.read.start).squeeze(0)
        return 0 if g.entry else g.end - g.read(0).start

    def get_max_length(self) -> int:
        return self._geometry.capacity

    def move(self, sources: Tensor, targets: Tensor) -> None:
        """Copy rows onto other rows."""
        for kept in self._kept:
            kept[targets.to(kept.device)] = kept[sources.to(kept.device)]

    def relay(self, filled: slice, target: slice) -> None:
        """Move the rows' slots ``filled`` to ``target`` and change to the new width."""
        if self.is_initialized:
            self._keep(tuple(self._relaid(kept, filled, target) for kept in self._kept))

    def _relaid(self, kept: Tensor, filled: slice, target: slice) -> Tensor:
        g, content = self._geometry, kept[: self._geometry.rows, :, filled]
        if kept.shape[2] != g.width:
            kept = self._allocated(kept)
        else:
            content = content.clone()
        kept[: g.rows, :, target] = content
        return kept


class RowCache(Cache):
    """The cache of a batch to which rows are added and removed.

    Parameters
    ----------
    n_layers
        Decoder blocks of the model.
    max_rows
        Largest number of rows at a time.
    capacity
        Largest number of slots of a row; at least the longest row that is ever held.
    device
        Device of the model; on a CPU the cache grows.
    """

    def __init__(self, n_layers: int, max_rows: int, capacity: int, device: torch.device) -> None:
        step = _CPU_STEP if device.type == "cpu" else None
        self._geometry = _Geometry(max_rows, capacity, step)
        self._layers = [_KvLayer(self._geometry) for _ in range(n_layers)]
        super().__init__(layers=list(self._layers))
        self._starts = np.zeros(0, dtype=np.int64)

    @property
    def rows(self) -> int:
        """Number of rows in use."""
        return self._geometry.rows

    @property
    def max_rows(self) -> int:
        """Largest number of rows."""
        return self._geometry.max_rows

    @property
    def end(self) -> int:
        """The slot that the next token of every row goes to."""
        return self._geometry.end

    @property
    def starts(self) -> NDArray[np.int64]:
        """The first slot of every row, int64 [rows]."""
        return self._starts

    def read(self) -> range:
        """Return the slots that attention reads in a step of one token."""
        return self._geometry.read(1)

    @contextmanager
    def fixed(self, step: FixedStep) -> Iterator[None]:
        """Run the forward pass inside the block as a step of fixed shape and addresses."""
        self._geometry.fixed = step
        try:
            yield
        finally:
            self._geometry.fixed = None

    @contextmanager
    def entering(self, source: Sequence[int], lengths: Sequence[int]) -> Iterator[None]:
        """Treat the one forward pass inside the block as a prefill whose rows enter.

        The forward pass is padded on the right; its row ``source[i]`` of ``lengths[i]`` tokens
        becomes the next cache row. Several cache rows may come from one forwarded row.
        """
        self._geometry.entry = self._entry(source, lengths, [0] * len(lengths))
        try:
            yield
        finally:
            self._geometry.entry = None
        self._admit(lengths)

    def adopt(self, other: PrefixCache, source: Sequence[int], lengths: Sequence[int]) -> None:
        """Add rows of another cache's last forward pass, each as often as ``source`` names it.

        That pass was padded on the right: row ``i`` ends after its ``lengths[i]`` tokens.
        """
        starts = other.starts
        entry = self._entry(source, lengths, [starts[row] for row in source])
        for number, layer in enumerate(self._layers):
            layer.adopt(other.joined(number), entry)
        self._admit(lengths)

    def clear(self, longest: int) -> None:
        """Make room for rows of up to ``longest`` tokens in a cache without rows."""
        self._geometry.start = self._geometry.end = longest

    def _entry(
        self, source: Sequence[int], lengths: Sequence[int], first: Sequence[int]
    ) -> _EnteringRows:
        """Make room for rows and locate their tokens; those of row ``i`` start at ``first[i]``."""
        g, longest = self._geometry, max(lengths)
        if g.rows == 0 and g.end < longest:
            self.clear(longest)
        self.make_room(0, longest)
        slots = torch.arange(longest) - longest
        token = (torch.tensor(lengths).unsqueeze(1) + slots).clamp_min(0)
        return _EnteringRows(g.rows, torch.tensor(source), token + torch.tensor(first).unsqueeze(1))

    def _admit(self, lengths: Sequence[int]) -> None:
        """Record rows that have been stored."""
        g = self._geometry
        g.rows += len(lengths)
        self._starts = np.concatenate((self._starts, g.end - np.asarray(lengths)))
        g.start = int(self._starts.min())

    def advance(self, tokens: int = 1) -> None:
        """Record that a forward pass has written ``tokens`` slots to every row."""
        self._geometry.end += tokens

    def keep(self, alive: Sequence[int]) -> list[int]:
        """Remove all rows but ``alive``; return the old index of every remaining row."""
        g = self._geometry
        holes = sorted(set(range(len(alive))) - set(alive))
        moved = sorted(row for row in alive if row >= len(alive))
        order = list(range(len(alive)))
        for hole, row in zip(holes, moved, strict=True):
            order[hole] = row
        if holes:
            sources, targets = torch.tensor(moved), torch.tensor(holes)
            for layer in self._layers:
                layer.move(sources, targets)
        g.rows = len(alive)
        self._starts = self._starts[order]
        if alive:
            g.start = int(self._starts.min())
        return order

    def make_room(self, tokens: int, longest: int = 0) -> None:
        """Make room for ``tokens`` more slots after all rows.

        At least ``longest`` slots stay to the left of the end, for rows about to enter.
        """
        g = self._geometry
        used = g.end - g.start
        end = max(used, longest)
        if end + tokens > g.capacity:
            raise ValueError(f"rows of {end} + {tokens} slots exceed the cache's {g.capacity}")
        if g.end + tokens <= g.width and g.end >= longest:
            return
        g.fit(end + max(tokens, 1))
        filled, target = slice(g.start, g.end), slice(end - used, end)
        for layer in self._layers:
            layer.relay(filled, target)
        self._starts = self._starts + (end - g.end)
        g.start, g.end = end - used, end

    def mask(self, tokens: int, device: torch.device) -> Tensor | None:
        """Return the 2-d mask of the next forward pass, or None if it would be all true."""
        g = self._geometry
        read, end = g.read(tokens), g.end + tokens
        if read.stop == end and (self._starts == read.start).all():
            return None
        starts = torch.from_numpy(self._starts).to(device).unsqueeze(1)
        slots = torch.arange(read.start, read.stop, device=device)
        return (slots >= starts) & (slots < end)
