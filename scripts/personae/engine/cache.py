"""A preallocated key-value cache whose rows come and go, as transformers cache layers.

All rows end at the same slot: a row of ``n`` tokens fills slots ``end - n`` to ``end``, so decoding
writes one slot for all rows and padding is always on the left. Rows enter right after a prefill
that was padded on the *right* (which needs no attention mask at all) and leave at any time; the
last rows then move into the holes.

Layers with a sliding window keep their full history too: the mask that transformers builds from
slot distances does the windowing, which stays right when rows enter and leave.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers.cache_utils import Cache, CacheLayerMixin

from personae.engine.prefixcache import PrefixCache

# Decoding reads a multiple of this many slots: oneDNN's products of odd widths take twice as long.
_WIDTH = 16


@dataclass(frozen=True)
class _Entry:
    """Rows that enter: forwarded row ``source[i]`` becomes cache row ``first + i``.

    ``token`` [n, longest] is the place from which each of the last ``longest`` slots comes;
    padding repeats the row's first, which is finite and masked.
    """

    first: int
    source: Tensor
    token: Tensor


class _Geometry:
    """What all layers share: rows in use, the occupied slots, and an entry under way.

    The first slots hold no row: what is read may begin there, to be as wide as it should.
    """

    def __init__(self, max_rows: int, capacity: int) -> None:
        self.lead = _WIDTH - 1
        self.max_rows, self.capacity = max_rows, self.lead + capacity
        self.rows, self.start, self.end = 0, self.lead, self.lead
        self.entry: _Entry | None = None

    @property
    def first(self) -> int:
        """The first slot that attention reads: with one new token, a multiple of `_WIDTH`."""
        return self.start - (self.start - self.end - 1) % _WIDTH


class _Layer(CacheLayerMixin):
    """Keys and values [max_rows, heads, capacity, dim] of one layer, allocated at first use.

    In memory, keys are transposed: a decoding step multiplies with them that way round.
    """

    def __init__(self, geometry: _Geometry) -> None:
        super().__init__()
        self._geometry = geometry
        self._kept: tuple[Tensor, ...] = ()

    def lazy_initialization(self, key_states: Tensor, value_states: Tensor) -> None:
        rows, slots = self._geometry.max_rows, self._geometry.capacity
        _, heads, _, key_dim = key_states.shape
        # Zeros, as a masked slot still enters the weighted sum, with weight 0: it must be finite.
        self.keys = key_states.new_zeros((rows, heads, key_dim, slots)).transpose(2, 3)
        self.values = value_states.new_zeros((rows, heads, slots, value_states.shape[3]))
        self._kept = (self.keys, self.values)
        self.is_initialized = True

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
        stop = g.end + key_states.shape[2]
        for kept, new in zip(self._kept, new_states, strict=True):
            kept[: g.rows, :, g.end : stop] = new
        keys, values = (kept[: g.rows, :, g.first : stop] for kept in self._kept)
        return keys, values

    def adopt(self, states: tuple[Tensor, ...], entry: _Entry) -> None:
        """Store rows of keys and values [rows, heads, slots, dim]."""
        if not self.is_initialized:
            self.lazy_initialization(*states)
        self._store(entry, states)

    def _store(self, entry: _Entry, states: tuple[Tensor, ...]) -> None:
        """Write the entering rows, aligned on the right, into the last slots."""
        g = self._geometry
        source, token = entry.source.to(states[0].device), entry.token.to(states[0].device)
        rows = slice(entry.first, entry.first + len(source))
        for kept, new in zip(self._kept, states, strict=True):
            aligned = new.transpose(1, 2)[source.unsqueeze(1), token].transpose(1, 2)
            kept[rows, :, g.end - token.shape[1] : g.end] = aligned

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        return self.get_seq_length() + query_length, 0

    def get_seq_length(self) -> int:
        return 0 if self._geometry.entry else self._geometry.end - self._geometry.first

    def get_max_length(self) -> int:
        return self._geometry.capacity

    def move(self, sources: Tensor, targets: Tensor) -> None:
        """Copy rows onto other rows."""
        for kept in self._kept:
            kept[targets.to(kept.device)] = kept[sources.to(kept.device)]

    def shift(self, by: int) -> None:
        """Move all rows ``by`` slots to the left."""
        g = self._geometry
        for kept in self._kept:
            kept[: g.rows, :, : g.end - by] = kept[: g.rows, :, by : g.end].clone()


class RowCache(Cache):
    """The cache of a batch whose rows come and go.

    Parameters
    ----------
    n_layers
        Decoder blocks of the model.
    max_rows
        Most rows at a time.
    capacity
        Slots of a row; at least the longest row ever held.
    """

    def __init__(self, n_layers: int, max_rows: int, capacity: int) -> None:
        self._geometry = _Geometry(max_rows, capacity)
        self._layers = [_Layer(self._geometry) for _ in range(n_layers)]
        super().__init__(layers=list(self._layers))
        self._starts = np.zeros(0, dtype=np.int64)

    @property
    def rows(self) -> int:
        """Number of rows in use."""
        return self._geometry.rows

    @contextmanager
    def entering(self, source: Sequence[int], lengths: Sequence[int]) -> Iterator[None]:
        """Let the one forward pass inside the block be a prefill whose rows enter.

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
        """Let rows of another cache's last forward pass enter, as often as ``source`` names each.

        That pass was padded on the right: row ``i`` ends where its ``lengths[i]`` tokens end.
        """
        starts = other.starts
        entry = self._entry(source, lengths, [starts[row] for row in source])
        for number, layer in enumerate(self._layers):
            layer.adopt(other.joined(number), entry)
        self._admit(lengths)

    def clear(self, longest: int) -> None:
        """Make room for rows of up to ``longest`` tokens in a cache without rows."""
        g = self._geometry
        g.start = g.end = g.lead + longest

    def _entry(self, source: Sequence[int], lengths: Sequence[int], first: Sequence[int]) -> _Entry:
        """Make room for rows; say where their tokens are, row ``i``'s from ``first[i]`` on."""
        g, longest = self._geometry, max(lengths)
        if g.rows == 0 and g.end - g.lead < longest:
            self.clear(longest)
        self.make_room(0, longest)
        slots = torch.arange(longest) - longest
        token = (torch.tensor(lengths).unsqueeze(1) + slots).clamp_min(0)
        return _Entry(g.rows, torch.tensor(source), token + torch.tensor(first).unsqueeze(1))

    def _admit(self, lengths: Sequence[int]) -> None:
        """Count rows in that have been stored."""
        g = self._geometry
        g.rows += len(lengths)
        self._starts = np.concatenate((self._starts, g.end - np.asarray(lengths)))
        g.start = int(self._starts.min())

    def advance(self, tokens: int = 1) -> None:
        """Record that a forward pass has written ``tokens`` slots to every row."""
        self._geometry.end += tokens

    def keep(self, alive: Sequence[int]) -> list[int]:
        """Drop all other rows; return, for every new row, which old row it is."""
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
        """Shift all rows to the left if ``tokens`` more slots do not fit after them.

        At least ``longest`` slots stay to the left of the end, for rows about to enter.
        """
        g = self._geometry
        by = g.end - g.lead - max(g.end - g.start, longest)
        if g.end + tokens > g.capacity and by > 0:
            for layer in self._layers:
                layer.shift(by)
            g.start, g.end, self._starts = g.start - by, g.end - by, self._starts - by
        used, most = g.end - g.lead, g.capacity - g.lead
        if used + tokens > most or used < longest:
            raise ValueError(f"rows of {used} + {tokens} slots exceed the cache's {most}")

    def mask(self, tokens: int, device: torch.device) -> Tensor | None:
        """Return the 2-d mask of the next forward pass, or None if all that is read is real."""
        g = self._geometry
        if (self._starts == g.first).all():
            return None
        starts = torch.from_numpy(self._starts).to(device)
        return torch.arange(g.first, g.end + tokens, device=device) >= starts.unsqueeze(1)
