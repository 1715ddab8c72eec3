"""The decode loop: rows enter by a prefill, gain a token per step, and leave when finished.

Finished rows leave the batch at once and waiting rows take their place, longest prompt first.
Rows with the same prompt and the same interventions in it share one prefill, see `prefill`. What
one step computes is described in `decoding_steps` and, on a GPU, in `recorded_steps`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from personae.api.requests import Intervention, Sampling
from personae.inference.torch_engine.decoding_steps import DecodingSteps, PlannedSteps
from personae.inference.torch_engine.forwarding import FedTokens
from personae.inference.torch_engine.intervention_slots import PlanRow
from personae.inference.torch_engine.kv_cache import RowCache
from personae.inference.torch_engine.model_loading import LoadedModel
from personae.inference.torch_engine.prefill import Prefill, PrefillPrompt
from personae.inference.torch_engine.recorded_steps import RecordedSteps, StepRecorder
from personae.inference.torch_engine.sampling import draw

FinishReason = Literal["stop", "length"]

# Steps between two calls of the progress function when no row finishes.
PULSE = 16
# Waiting rows enter when this share of the batch is free: a prefill of few rows is inefficient.
_REFILL_SHARE = 0.125


@dataclass
class DecodingRow:
    """The state of a row: its prompt, interventions and random numbers, and its response so far.

    ``uniform`` float32 has one random number per possible response token.
    """

    prompt: list[int]
    interventions: Sequence[Intervention]
    uniform: NDArray[np.float32]
    tokens: list[int] = field(default_factory=list)
    finish_reason: FinishReason | None = None
    fired: int = 0
    name: str = ""

    @property
    def in_prompt(self) -> tuple[Intervention, ...]:
        """Interventions that can act on prompt tokens."""
        return tuple(i for i in self.interventions if i.positions != "response")

    @property
    def in_response(self) -> tuple[Intervention, ...]:
        """Interventions that can act on response tokens."""
        return tuple(i for i in self.interventions if i.positions != "prompt")

    @property
    def fed(self) -> int:
        """Number of response tokens that went through the model: all but the last one drawn."""
        return len(self.tokens) - (self.finish_reason != "stop")


class Decoder:
    """Decodes rows until all are finished.

    Parameters
    ----------
    loaded
        The model.
    rows
        Unfinished rows; modified in place.
    vectors
        float32 [hidden] by name.
    sampling
        Shared by all rows.
    max_tokens
        Largest number of tokens in the cache, rows x longest possible row.
    pulse
        Steps after which `run` yields even if no row has finished.
    recorder
        What records decoding steps; None if none are recorded.
    """

    def __init__(
        self,
        loaded: LoadedModel,
        rows: Sequence[DecodingRow],
        vectors: dict[str, NDArray[np.float32]],
        sampling: Sampling,
        max_tokens: int,
        pulse: int = PULSE,
        recorder: StepRecorder | None = None,
    ) -> None:
        self._loaded, self._sampling = loaded, sampling
        self._pulse = pulse
        self._rows = sorted(rows, key=lambda row: len(row.prompt), reverse=True)
        most_new = max(len(row.uniform) for row in rows)
        self.longest = longest = len(self._rows[0].prompt) + most_new
        self.max_rows = min(max(max_tokens // longest, 1), len(rows))
        # If rows have to wait, slack makes it rare that the cache must be shifted to the left.
        slack = most_new if self.max_rows < len(rows) else 0
        self._cache = RowCache(loaded.n_layers, self.max_rows, longest + slack, loaded.device)
        self._prefill = Prefill(loaded, vectors, self._cache, max_tokens)
        plan_rows = [PlanRow(row.in_response, len(row.prompt)) for row in self._rows]
        self._steps: DecodingSteps = (
            PlannedSteps(loaded, self._cache, plan_rows, vectors)
            if recorder is None or recorder.failed
            else RecordedSteps(loaded, self._cache, plan_rows, vectors, recorder)
        )
        self._waiting = list(range(len(rows)))
        self._running: list[int] = []
        self._over: set[int] = set()

    @torch.inference_mode()
    def run(self) -> Iterator[list[DecodingRow]]:
        """Decode all rows; yield rows as they finish, and every ``pulse`` steps an empty list."""
        steps = 0
        while self._waiting or self._running:
            free = self.max_rows - len(self._running)
            if self._waiting and free >= max(1, self.max_rows * _REFILL_SHARE):
                entering, self._waiting = self._waiting[:free], self._waiting[free:]
                self._enter(entering)
            else:
                self._step()
            steps += 1
            finished = self._retire()
            if finished or steps % self._pulse == 0:
                yield finished

    @property
    def running(self) -> list[DecodingRow]:
        """Rows in the batch."""
        return [self._rows[number] for number in self._running]

    def unfinished(self) -> list[DecodingRow]:
        """Return the rows that `run` has not yielded, longest prompt first, reset to their start.

        With one row at a time, the first of them is the one that was running.
        """
        rows = [row for number, row in enumerate(self._rows) if number not in self._over]
        for row in rows:
            row.tokens, row.fired, row.finish_reason = [], 0, None
        return rows

    def _enter(self, entering: Sequence[int]) -> None:
        """Prefill rows and draw their first tokens."""
        alike: dict[tuple[tuple[int, ...], tuple[Intervention, ...]], list[int]] = {}
        for number in entering:
            row = self._rows[number]
            alike.setdefault((tuple(row.prompt), row.in_prompt), []).append(number)
        prompts = [
            PrefillPrompt(FedTokens(ids, kind, len(ids)), numbers)
            for (ids, kind), numbers in alike.items()
        ]
        for done in self._prefill.run(prompts):
            for number, fired in zip(done.rows, done.fired, strict=True):
                self._rows[number].fired += fired
            self._running += done.rows
            self._accept(done.rows, done.logits)
        self._steps.bind(self._running)

    def _step(self) -> None:
        """Feed every running row's last token and draw the next one."""
        rows = [self._rows[number] for number in self._running]
        longest = len(self._rows[self._waiting[0]].prompt) if self._waiting else 0
        self._cache.make_room(1, longest)
        tokens = np.array([row.tokens[-1] for row in rows])
        index = np.array([len(row.prompt) + len(row.tokens) - 1 for row in rows])
        logits = self._steps.logits(tokens, index)
        self._cache.advance()
        self._accept(self._running, logits)

    def _accept(self, numbers: Sequence[int], logits: Tensor) -> None:
        """Draw a token for each of the rows and append it, or finish the row."""
        rows = [self._rows[number] for number in numbers]
        uniform = torch.tensor([row.uniform[len(row.tokens)] for row in rows])
        tokens = draw(logits, self._sampling, uniform.to(logits.device)).tolist()
        for row, token in zip(rows, tokens, strict=True):
            if token in self._loaded.stop_ids:
                row.finish_reason = "stop"
                continue
            row.tokens.append(token)
            if len(row.tokens) == len(row.uniform):
                row.finish_reason = "length"

    def _retire(self) -> list[DecodingRow]:
        """Take finished rows out of the batch and return them."""
        alive, finished = [], []
        for place, number in enumerate(self._running):
            row = self._rows[number]
            if row.finish_reason is None:
                alive.append(place)
            else:
                n_prompt = len(row.prompt)
                row.fired += self._steps.verify(number, n_prompt, n_prompt + row.fed)
                self._over.add(number)
                finished.append(row)
        if not finished:
            return []
        self._running = [self._running[place] for place in self._cache.keep(alive)]
        self._steps.bind(self._running)
        return finished
