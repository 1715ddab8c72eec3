"""Log-probabilities of given tokens, from the hidden states of whatever pieces a step computes.

vLLM's own prompt log-probabilities compute the head at every token of a prompt and read no cached
prefix. Here the head is computed at the continuations alone, and rows share what they begin with.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from personae.inference.intervention_buffers.stream_arithmetic import on_device

_Ints = NDArray[np.int32]

# Positions at which the head is computed together: its output is float32 [positions, vocabulary].
_CHUNK = 256


@dataclass(frozen=True)
class ScoreTable:
    """Continuations to score; free of torch, so that it can be sent.

    The tokens of row ``r`` are ``tokens[offsets[r] : offsets[r + 1]]``; ``offsets`` is int32
    [rows + 1].
    """

    tokens: _Ints
    offsets: _Ints

    @classmethod
    def of(cls, continuations: Sequence[Sequence[int]]) -> ScoreTable:
        """Arrange the continuations of all rows."""
        lengths = np.array([len(each) for each in continuations], dtype=np.int32)
        tokens = np.concatenate([np.asarray(each, dtype=np.int32) for each in continuations])
        return cls(tokens, np.concatenate(([0], lengths.cumsum())).astype(np.int32))


class TokenScores:
    """Log-probabilities of a table's tokens and of the likeliest in their place; NaN before.

    ``n_prompt`` int32 [rows]: the continuation's first token is drawn from the position before it.
    """

    def __init__(self, table: ScoreTable, n_prompt: _Ints, device: torch.device) -> None:
        self._table, self._n_prompt, self._device = table, n_prompt, device
        self._tokens = on_device(table.tokens, device).long()
        self._scores = torch.full((2, len(table.tokens)), float("nan"), device=device)
        self._from = np.zeros(0, dtype=np.int64)

    def at(self, row: _Ints, position: _Ints) -> None:
        """Announce a step: row and position of every token."""
        offsets = self._table.offsets
        place = position - (self._n_prompt[row] - 1)
        inside = (place >= 0) & (place < offsets[row + 1] - offsets[row])
        self._from = np.flatnonzero(inside)
        self._to = (offsets[row] + place)[inside].astype(np.int64)

    def add(self, hidden: Tensor, head: Callable[[Tensor], Tensor | None]) -> None:
        """Score what the step has, from its final hidden states [tokens, hidden].

        ``head`` returns logits, or None in a tensor-parallel rank that does not get them.
        """
        for first in range(0, len(self._from), _CHUNK):
            some = slice(first, first + _CHUNK)
            source, target = (on_device(x[some], self._device) for x in (self._from, self._to))
            logits = head(hidden[source])
            if logits is not None:
                wide = logits.float()
                chosen = wide.gather(1, self._tokens[target].unsqueeze(1)).squeeze(1)
                self._scores[:, target] = torch.stack((chosen, wide.amax(1))) - wide.logsumexp(1)

    def take(self, rows: Sequence[int]) -> list[NDArray[np.float32]]:
        """Return the scores [2, tokens] of some rows, in one transfer; NaN where none was computed.

        The first line is of the rows' own tokens, the second of the likeliest ones.
        """
        scores, offsets = self._scores.cpu().numpy(), self._table.offsets
        return [scores[:, offsets[row] : offsets[row + 1]] for row in rows]
