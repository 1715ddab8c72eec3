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

from personae.inference.intervention_buffers.step_buffers import StepBuffers
from personae.inference.torch_engine.sampling import draw
from personae.inference.vllm_engine.block_hooks import find_vllm_blocks, hook_blocks
from personae.inference.vllm_engine.intervention_op import SITES
from personae.inference.vllm_engine.step_state import InterventionCounts, StepState, WorkerRequest
from personae.inference.vllm_engine.stream_site import StreamSite

SITE = "personae_site"
"""The entry of vLLM's ``additional_config`` with the engine's number among the operator's sites."""

ROW = "personae_row"
"""The extra argument of a request with the number of its row."""


class LoadedShape(NamedTuple):
    """The shape of the loaded model, as seen by a worker."""

    n_layers: int
    hidden_size: int


class ExtendedWorker:
    """Mixed in before vLLM's worker."""

    model_runner: Any
    vllm_config: Any
    _state: StepState | None = None

    def load_model(self, *args: Any, **kwargs: Any) -> None:
        """Load the weights, then hook the blocks: before vLLM compiles or records anything."""
        super().load_model(*args, **kwargs)  # type: ignore[misc]
        runner = self.model_runner
        config = runner.model_config.hf_text_config
        self._shape = LoadedShape(int(config.num_hidden_layers), int(config.hidden_size))
        number = self.vllm_config.additional_config[SITE]
        self._site = SITES[number] = StreamSite(self._current, self._step_buffers())
        hook_blocks(find_vllm_blocks(runner.get_model(), self._shape.n_layers), number)
        self._prepare, runner._prepare_inputs = runner._prepare_inputs, self._announce
        self._choose = runner._determine_batch_execution_and_padding
        runner._determine_batch_execution_and_padding = self._may_replay
        self._forward, runner._model_forward = runner._model_forward, self._scored_forward
        runner.sampler.sample = self._sample

    def _step_buffers(self) -> StepBuffers | None:
        """Return buffers for recorded graphs, None where vLLM records none."""
        if not self.records():
            return None
        most = self.vllm_config.scheduler_config.max_num_batched_tokens
        sizes = self.vllm_config.compilation_config.cudagraph_capture_sizes or ()
        return StepBuffers(*self._shape, max([most, *sizes]), self.model_runner.device)

    def records(self) -> bool:
        """Return whether vLLM records CUDA graphs here."""
        on_gpu = bool(self.model_runner.device.type == "cuda")
        return on_gpu and not self.vllm_config.model_config.enforce_eager

    def use_graphs(self, wanted: bool) -> None:
        """Replay graphs where there are any, or compute every step by tensor operations."""
        self._site.eager = not wanted or self._site.buffers is None

    def begin_work(self, work: WorkerRequest) -> None:
        """Make room for a request; what a former one left is dropped."""
        self._rows: dict[str, int] = {}
        device = self.model_runner.device
        self._state = StepState(work, self._shape.hidden_size, device, self._site.buffers)

    def end_work(self) -> None:
        """Forget the request."""
        if self._state is not None:
            self._state.clear()
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

    def row_scores(self, rows: Sequence[int]) -> list[NDArray[np.float32]]:
        """Return the log-probabilities of some rows' continuations."""
        assert self._state is not None, "there is work"
        assert self._state.scores is not None, "the work has continuations"
        return self._state.scores.take(rows)

    def kept_logits(self) -> NDArray[np.float32]:
        """Return the logits at given tokens, [rows, new tokens, vocabulary]."""
        assert self._state is not None, "there is work"
        assert self._state.work.given is not None, "the work gives tokens"
        rows, steps = self._state.work.given.shape
        kept = self._state.logits
        return np.array([[kept[row, step] for step in range(steps)] for row in range(rows)])

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

    def _may_replay(self, *args: Any, **kwargs: Any) -> Any:
        """Let vLLM replay a graph only where the graph does all that the step needs."""
        forced = kwargs.pop("force_eager", False) or not self._site.replayable()
        return self._choose(*args, force_eager=forced, **kwargs)

    def _scored_forward(self, *args: Any, **kwargs: Any) -> Any:
        """Run the model, and score the tokens of continuations from its final hidden states."""
        hidden = self._forward(*args, **kwargs)
        if self._state is not None and self._state.scores is not None:
            self._state.scores.add(hidden, self.model_runner.model.compute_logits)
        return hidden

    def _row(self, name: str) -> int:
        row = self._rows.get(name)
        if row is None:
            extra = self.model_runner.requests[name].sampling_params.extra_args
            row = self._rows[name] = extra[ROW]
        return row

    def _sample(self, logits: Tensor, *_: Any) -> tuple[Tensor, None]:
        """Draw as the torch engine does: a row's token depends on its logits and seed alone."""
        state = self._state
        if state is not None and state.work.given is not None:
            return state.take_given(logits), None
        if state is None or state.work.draws is None:
            # vLLM requires at least one new token; that of a prefill is not used.
            return torch.zeros(len(logits), dtype=torch.int64, device=logits.device), None
        return draw(logits, state.work.draws.sampling, state.uniform()), None
