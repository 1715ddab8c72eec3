"""A worker's state of the next step: the row and index of every token.

vLLM mixes prompts in chunks, decoding rows and rows that it computes again after a preemption in
one step. The state is updated before every step's forward pass, and records for every row how far
it has been computed, so that each token counts once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from personae.api.requests import Sampling
from personae.inference.intervention_buffers.intervention_tables import (
    InterventionTables,
    token_bits,
)
from personae.inference.intervention_buffers.step_buffers import StepBuffers
from personae.inference.intervention_buffers.stream_arithmetic import (
    DeviceTables,
    StepTokens,
    on_device,
)
from personae.inference.vllm_engine.span_sums import SpanSums, SpanTable
from personae.inference.vllm_engine.token_scores import ScoreTable, TokenScores

Ints = NDArray[np.int32]

_NOTHING = np.zeros((3, 0), dtype=np.int32)


class TokenDraws(NamedTuple):
    """Sampling settings, and uniform random numbers float32 [rows, most new tokens]."""

    sampling: Sampling
    uniform: NDArray[np.float32]


@dataclass(frozen=True)
class WorkerRequest:
    """One request, as sent to the workers before its rows are submitted.

    ``prefix`` numbers the rows' cache namespaces: only rows of one namespace share a prefix.
    ``scores`` are continuations whose log-probabilities are wanted.
    ``given``, int32 [rows, new tokens], are taken instead of drawn tokens, and the logits are kept.
    """

    n_prompt: Ints
    prefix: Ints
    tables: InterventionTables
    draws: TokenDraws | None = None
    spans: SpanTable | None = None
    scores: ScoreTable | None = None
    given: Ints | None = None


class InterventionCounts(NamedTuple):
    """How often a row's interventions acted.

    ``counts`` are the positions at which each acted, ``reach`` is how far the row was computed, and
    ``inherited`` are the stretches that it took from the prefix cache, [start, end).
    """

    counts: Ints
    reach: int
    inherited: list[tuple[int, int]]


@dataclass
class _Progress:
    """The computed tokens of every row, and those taken from the prefix cache."""

    reach: Ints
    furthest: Ints
    inherited: dict[int, list[tuple[int, int]]] = field(default_factory=dict)


class StepState:
    """The work in progress, and the tokens of the current step.

    Attributes
    ----------
    n_tokens
        Tokens of the current step, without padding.
    depth
        Most entries of any row of the step at each layer, int [n_layers].
    recordable
        Whether recorded graphs do all that the work wants: they read the buffers, and add up no
        spans.
    """

    def __init__(
        self,
        work: WorkerRequest,
        hidden_size: int,
        device: torch.device,
        buffers: StepBuffers | None = None,
    ) -> None:
        self.work, self.device = work, device
        rows = len(work.n_prompt)
        self._buffers = buffers if buffers is not None and buffers.load(work.tables) else None
        self.recordable = self._buffers is not None and work.spans is None
        self.tables = (
            DeviceTables.of(work.tables, device) if self._buffers is None else self._buffers.tables
        )
        self.spans = None if work.spans is None else SpanSums(work.spans, hidden_size, device)
        self.scores = (
            None if work.scores is None else TokenScores(work.scores, work.n_prompt, device)
        )
        namespaces = int(work.prefix.max(initial=0)) + 1
        self._progress = _Progress(np.zeros(rows, np.int32), np.zeros(namespaces, np.int32))
        self._depths = work.tables.depth
        self.depth = np.zeros(len(self._depths), np.int32)
        self._key = b""
        self.n_tokens = 0
        self.logits: dict[tuple[int, int], NDArray[np.float32]] = {}

    def at(self, rows: Ints, starts: Ints, lengths: Ints) -> None:
        """Announce a step: which rows run, from which position, and how many tokens of each."""
        self._rows, self._next = rows, starts + lengths
        self.n_tokens = int(lengths.sum())
        row = np.repeat(rows, lengths)
        begun = np.cumsum(lengths) - lengths
        position = np.arange(self.n_tokens, dtype=np.int32) + np.repeat(starts - begun, lengths)
        fresh = position >= self._progress.reach[row]
        self._follow(rows, starts)
        if self.spans is not None:
            self.spans.at(row, position, fresh)
        if self.scores is not None:
            self.scores.at(row, position)
        self._describe(row, position, fresh)

    def _follow(self, rows: Ints, starts: Ints) -> None:
        """Note how far the rows get, and what they skip because it was cached.

        Raises
        ------
        RuntimeError
            If a row skips positions that no row of its namespace has been computed to.
        """
        progress, prefix = self._progress, self.work.prefix[rows]
        skips = starts > progress.reach[rows]
        np.maximum.at(progress.furthest, prefix[~skips], self._next[~skips])
        # In this order, as a row may take in one step what another has skipped to and computed.
        for place in sorted(np.flatnonzero(skips), key=lambda place: int(starts[place])):
            row, start, space = int(rows[place]), int(starts[place]), prefix[place]
            if start > progress.furthest[space]:
                raise RuntimeError(f"row {row} begins at {start}, which no row computed")
            progress.inherited.setdefault(row, []).append((int(progress.reach[row]), start))
            progress.furthest[space] = max(progress.furthest[space], self._next[place])
        progress.reach[rows] = np.maximum(progress.reach[rows], self._next)

    def _describe(self, row: Ints, position: Ints, fresh: NDArray[np.bool_]) -> None:
        """Put the tokens' programs, bits and counters on the device, if any intervention acts."""
        program = self.work.tables.program[row]
        self.depth = self._depths[:, np.unique(program)].max(axis=1)
        if not self.depth.any():
            self._put(_NOTHING)
            return
        bits = token_bits(position, self.work.n_prompt[row])
        counter = np.where(fresh, row, len(self.work.n_prompt)) * self.work.tables.width
        packed = np.stack((program, bits, counter)).astype(np.int32)
        # From one decoding step to the next they are mostly the same.
        key = packed.tobytes()
        if key != self._key:
            self._put(packed)
            self._key = key

    def clear(self) -> None:
        """Leave nothing in the buffers for what vLLM runs between requests."""
        self._put(_NOTHING)

    def _put(self, packed: Ints) -> None:
        """Put int32 [3, tokens] on the device."""
        self._key = b""
        if self._buffers is not None:
            self.tokens = self._buffers.put(packed)
        elif packed.size:
            self.tokens = StepTokens(*on_device(packed, self.device))

    def uniform(self) -> Tensor:
        """Return the random number of every row of the step, float32 [rows]; 0 inside a prompt."""
        assert self.work.draws is not None, "only rollouts draw tokens"
        return self._of_step(self.work.draws.uniform)

    def take_given(self, logits: Tensor) -> Tensor:
        """Keep the logits [rows, vocabulary] and return the given tokens, int64 [rows]."""
        assert self.work.given is not None, "only asked where tokens are given"
        kept = logits.float().cpu().numpy()
        for row, step, one in zip(self._rows, self._steps(), kept, strict=True):
            self.logits[int(row), int(step)] = one
        return self._of_step(self.work.given).long()

    def _steps(self) -> Ints:
        """Return which of its new tokens every row of the step draws; negative inside a prompt."""
        steps: Ints = self._next - self.work.n_prompt[self._rows]
        return steps

    def _of_step(self, numbers: NDArray[Any]) -> Tensor:
        """Return every row's number for the token that it draws, of [rows, new tokens]."""
        chosen = numbers[self._rows, self._steps().clip(0, numbers.shape[1] - 1)]
        return on_device(chosen, self.device)

    def acted(self, rows: Sequence[int]) -> list[InterventionCounts]:
        """Return the counts of some rows' interventions, in one transfer."""
        width, progress = self.work.tables.width, self._progress
        places = torch.tensor(list(rows), device=self.device)
        counters = self.tables.counts[: (len(self.work.n_prompt) + 1) * width]
        counts = counters.view(-1, max(width, 1))[places].cpu().numpy()
        return [
            InterventionCounts(counted, int(progress.reach[row]), progress.inherited.get(row, []))
            for row, counted in zip(rows, counts, strict=True)
        ]
