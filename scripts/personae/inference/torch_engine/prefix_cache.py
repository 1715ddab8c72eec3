"""A key-value cache of prefixes that rows share; each forward pass continues some of them.

It holds each distinct prefix once, so memory grows with the number of prefixes, not of rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from transformers.cache_utils import Cache, CacheLayerMixin


class _PrefixRows:
    """The prefix that each row of a forward pass continues, and the slots that its tokens fill.

    ``token`` [rows, longest] is the token of the prefix that each slot holds. All prefixes end at
    the same slot, since sliding windows count slots. Padding repeats the first token and is masked.
    """

    def __init__(self) -> None:
        self.longest = 0

    def enter(self, source: Sequence[int], lengths: Sequence[int]) -> None:
        """Set the prefix of every row and the prefixes' lengths."""
        self.longest = max(lengths)
        self.source = torch.tensor(source).unsqueeze(1)
        self.first = self.longest - torch.tensor(lengths).unsqueeze(1)
        self.token = (torch.arange(self.longest) - self.first).clamp_min(0)

    def gather(self, states: Tensor) -> Tensor:
        """Return the rows' prefixes [rows, heads, longest, dim] from the distinct ones."""
        source, token = self.source.to(states.device), self.token.to(states.device)
        return states.transpose(1, 2)[source, token].transpose(1, 2)


class _PrefixLayer(CacheLayerMixin):
    """Keys and values [distinct prefixes, heads, longest, dim] of one layer."""

    def __init__(self, rows: _PrefixRows, keep: bool) -> None:
        super().__init__()
        self._rows, self._keep = rows, keep
        self.joined: tuple[Tensor, ...] = ()

    def lazy_initialization(self, key_states: Tensor, value_states: Tensor) -> None:
        self.keys, self.values = key_states, value_states
        self.is_initialized = True

    def update(
        self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any
    ) -> tuple[Tensor, Tensor]:
        """Store the states of prefixes; later, prepend each row's prefix to its new states."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
            return key_states, value_states
        assert self.keys is not None
        assert self.values is not None
        keys = torch.cat((self._rows.gather(self.keys), key_states), 2)
        values = torch.cat((self._rows.gather(self.values), value_states), 2)
        if self._keep:
            self.joined = keys, values
        return keys, values

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        return self.get_seq_length() + query_length, 0

    def get_seq_length(self) -> int:
        return self._rows.longest

    def get_max_length(self) -> int:
        return -1


class PrefixCache(Cache):
    """Prefixes of rows. The first forward pass computes them, padded on the right.

    Call `select` before every later one to set the prefixes that its rows continue.

    Parameters
    ----------
    n_layers
        Decoder blocks of the model.
    keep
        Whether to keep the keys and values of the last forward pass, which `joined` returns.
    """

    def __init__(self, n_layers: int, *, keep: bool = False) -> None:
        self._rows = _PrefixRows()
        self._layers = [_PrefixLayer(self._rows, keep) for _ in range(n_layers)]
        super().__init__(layers=list(self._layers))

    def select(self, source: Sequence[int], lengths: Sequence[int]) -> None:
        """Set the prefixes that the next forward pass continues.

        Row ``i`` continues prefix ``source[i]``, which has ``lengths[i]`` tokens.
        """
        self._rows.enter(source, lengths)

    def mask(self, tokens: int, device: torch.device) -> Tensor | None:
        """Return the 2-d mask of the next forward pass; None if all prefixes are equally long."""
        rows = self._rows
        if not rows.first.any():
            return None
        slots = torch.arange(rows.longest + tokens)
        return (slots >= rows.first).to(device)

    @property
    def starts(self) -> list[int]:
        """The slot at which each row of the last forward pass begins."""
        starts: list[int] = self._rows.first.squeeze(1).tolist()
        return starts

    def joined(self, layer: int) -> tuple[Tensor, ...]:
        """Return keys and values [rows, heads, slots, dim] of the last forward pass's rows."""
        return self._layers[layer].joined
