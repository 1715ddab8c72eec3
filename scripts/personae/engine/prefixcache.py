"""A cache of prefixes alone: what follows them attends to them and is not kept.

It holds each distinct prefix once, so that memory grows with the prefixes, not with the rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from transformers.cache_utils import Cache, CacheLayerMixin


class _Rows:
    """Which prefix each row continues, the slots that its tokens fill, and whether it is there.

    ``token`` [rows, longest] says from which token of the prefix each slot comes; prefixes end at
    the same slot, as sliding windows count slots. Padding repeats the first token and is masked.
    """

    def __init__(self) -> None:
        self.longest = 0
        self.begun = False

    def enter(self, source: Sequence[int], lengths: Sequence[int]) -> None:
        """Take the rows' prefixes and their lengths."""
        self.longest = max(lengths)
        self.source = torch.tensor(source).unsqueeze(1)
        self.first = self.longest - torch.tensor(lengths).unsqueeze(1)
        self.token = (torch.arange(self.longest) - self.first).clamp_min(0)

    def gather(self, states: Tensor) -> Tensor:
        """Return the rows' prefixes [rows, heads, longest, dim] from the distinct ones."""
        source, token = self.source.to(states.device), self.token.to(states.device)
        return states.transpose(1, 2)[source, token].transpose(1, 2)


class _Layer(CacheLayerMixin):
    """Keys and values [distinct prefixes, heads, longest, dim] of one layer."""

    def __init__(self, rows: _Rows) -> None:
        super().__init__()
        self._rows = rows

    def lazy_initialization(self, key_states: Tensor, value_states: Tensor) -> None:
        self.keys, self.values = key_states, value_states
        self.is_initialized = True

    def update(
        self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any
    ) -> tuple[Tensor, Tensor]:
        """Keep the states of prefixes; put a row's prefix before what follows it."""
        if not self._rows.begun:
            self.lazy_initialization(key_states, value_states)
            return key_states, value_states
        assert self.keys is not None
        assert self.values is not None
        keys, values = self._rows.gather(self.keys), self._rows.gather(self.values)
        return torch.cat((keys, key_states), 2), torch.cat((values, value_states), 2)

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        return self.get_seq_length() + query_length, 0

    def get_seq_length(self) -> int:
        return self._rows.longest if self._rows.begun else 0

    def get_max_length(self) -> int:
        return -1


class PrefixCache(Cache):
    """Prefixes of one batch of rows, for one forward pass of what follows them.

    Parameters
    ----------
    n_layers
        Decoder blocks of the model.
    """

    def __init__(self, n_layers: int) -> None:
        self._rows = _Rows()
        super().__init__(layers=[_Layer(self._rows) for _ in range(n_layers)])

    @contextmanager
    def entering(self, source: Sequence[int], lengths: Sequence[int]) -> Iterator[None]:
        """Let the one forward pass inside the block, padded on the right, be that of the prefixes.

        Row ``i`` of what follows has prefix ``source[i]``, of ``lengths[i]`` tokens.
        """
        self._rows.enter(source, lengths)
        yield
        self._rows.begun = True

    def mask(self, tokens: int, device: torch.device) -> Tensor | None:
        """Return the 2-d mask of the forward pass that follows; None if all prefixes are equal."""
        rows = self._rows
        if not rows.first.any():
            return None
        slots = torch.arange(rows.longest + tokens)
        return (slots >= rows.first).to(device)
