"""Methods added to vLLM's workers: receive requests, run hooks, and report counts.

`ExtendedWorker` is mixed into vLLM's own worker class, see `vllm_cpu_worker` and `vllm_gpu_worker`.
Its methods are called in every tensor-parallel rank; all ranks hold the whole residual stream after
a block, so that each of them does the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from personae.inference.torch_engine.sampling import draw
from personae.inference.vllm_engine.block_hooks import find_vllm_blocks, hook_blocks
from personae.inference.vllm_engine.step_state import InterventionCounts, StepState, WorkerRequest

ROW = "personae_row"
"""The extra argument of a request with the number of its row."""


class LoadedShape(NamedTuple):
    """The shape of the loaded model, as seen by a worker."""

    n_layers: int
    hidden_size: int


class ExtendedWorker:
    """Mixed in before vLLM's worker."""

    model_runner: Any
    _state: StepState | None = None

    def load_model(self, *args: Any, **kwargs: Any) -> None:
        """Load the weights, then hook the blocks: before vLLM compiles or captures anything."""
        super().load_model(*args, **kwargs)  # type: ignore[misc]
        runner = self.model_runner
        config = runner.model_config.hf_text_config
        self._shape = LoadedShape(int(config.num_hidden_layers), int(config.hidden_size))
        hook_blocks(find_vllm_blocks(runner.get_model(), self._shape.n_layers), self._current)
        self._prepare, runner._prepare_inputs = runner._prepare_inputs, self._announce
        runner.sampler.sample = self._sample

    def begin_work(self, work: WorkerRequest) -> None:
        """Make room for a request; what a former one left is dropped."""
        self._rows: dict[str, int] = {}
        self._state = StepState(work, self._shape.hidden_size, self.model_runner.device)

    def end_work(self) -> None:
        """Forget the request."""
        self._state = None

    def row_results(self, rows: Sequence[int]) -> list[InterventionCounts]:
        """Return the counts of the interventions of some rows."""
        assert self._state is not None, "there is work"
        return self._state.acted(rows)

    def span_sums(self) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Return sums [n_spans, n_layers, hidden] and the tokens in each."""
        assert self._state is not None, "there is work"
        assert self._state.spans is not None, "the work asks for spans"
        return self._state.spans.take()

    def _current(self) -> StepState | None:
        return self._state

    def _announce(self, scheduler_output: Any, num_scheduled_tokens: Any) -> Any:
        """Tell the state of the step that vLLM prepares; what a warm-up runs is not one."""
        if self._state is not None:
            batch = self.model_runner.input_batch
            names = batch.req_ids[: batch.num_reqs]
            rows = np.array([self._row(name) for name in names], dtype=np.int32)
            starts = batch.num_computed_tokens_cpu[: len(names)].astype(np.int32)
            lengths = np.asarray(num_scheduled_tokens, dtype=np.int32)
            self._state.at(rows, starts, lengths)
        return self._prepare(scheduler_output, num_scheduled_tokens)

    def _row(self, name: str) -> int:
        row = self._rows.get(name)
        if row is None:
            extra = self.model_runner.requests[name].sampling_params.extra_args
            row = self._rows[name] = extra[ROW]
        return row

    def _sample(self, logits: Tensor, *_: Any) -> tuple[Tensor, None]:
        """Draw as the torch engine does: a row's token depends on its logits and seed alone."""
        state = self._state
        if state is None or state.work.draws is None:
            # vLLM requires at least one new token; that of a prefill is not used.
            return torch.zeros(len(logits), dtype=torch.int64, device=logits.device), None
        return draw(logits, state.work.draws.sampling, state.uniform()), None
