"""Decoding steps of fixed shape, recorded as CUDA graphs and replayed.

A decoding step of a small batch is thousands of short kernels, and a GPU waits for the CPU that
launches them one by one; a graph is launched at once. A recorded step reads everything that changes
from step to step from buffers of fixed address: tokens, positions, the first slot of every row, the
slot that is written, and which interventions each row has. A recording holds for a number of rows,
rounded up, and for the slots that attention reads, rounded as in `kv_cache`; rows that are not in
use hold one token of their own, so that what they compute is finite.

Steps that are not recorded, and those that a recording is compared with, apply interventions by
tensor operations; recorded ones by the kernel of `intervention_buffers`. Both count on the device.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from personae.inference.chat_model import Vectors
from personae.inference.intervention_buffers.intervention_tables import (
    RESPONSE,
    InterventionTables,
    build_tables,
)
from personae.inference.intervention_buffers.step_buffers import Room, StepBuffers
from personae.inference.intervention_buffers.stream_arithmetic import (
    DeviceTables,
    StepTokens,
    intervene_on,
    on_device,
)
from personae.inference.torch_engine.batching import is_out_of_memory
from personae.inference.torch_engine.intervention_slots import PlanRow
from personae.inference.torch_engine.interventions import intervene, verify_counts
from personae.inference.torch_engine.kv_cache import FixedStep, RowCache
from personae.inference.torch_engine.model_loading import LoadedModel, device_of

logger = logging.getLogger(__name__)

Step = Callable[[], Tensor]

# ASSUME: not measured on a GPU. A batch is rounded up to one of so many numbers of rows.
_ROW_STEPS = 8
# Mean difference of a recorded step's logits from those of tensor operations, as a share of their
# standard deviation: bfloat16 rounds to 0.4 %, and a wrong row, slot or position changes them all.
_APART = 0.05


Act = Callable[[Tensor, DeviceTables, StepTokens, int], None]
"""Changes the stream [rows, hidden] in place after a layer."""


@dataclass
class StepRecorder:
    """How an engine's steps are recorded, and whether that has worked.

    Attributes
    ----------
    record
        Returns what replays a step's kernels, writing to the same tensor. It may run the step.
    act
        What intervenes in recorded steps.
    checked
        Whether a recording has been compared with tensor operations.
    failed
        Whether recording has failed, and is not tried again.
    """

    record: Callable[[Step], Step]
    act: Act
    checked: bool = False
    failed: bool = False


def step_recorder(loaded: LoadedModel) -> StepRecorder | None:
    """Return a recorder of CUDA graphs if the whole model is on one GPU, else None."""
    modules = (loaded.model.get_input_embeddings(), *loaded.blocks)
    devices = {device_of(module) for module in modules}
    if len(devices) > 1 or devices.pop().type != "cuda":
        return None

    def record(step: Step) -> Step:
        graph = torch.cuda.CUDAGraph()
        # Other threads of the server may wait for the device meanwhile.
        with torch.cuda.graph(graph, capture_error_mode="thread_local"):
            output = step()

        def replay() -> Tensor:
            graph.replay()
            return output

        return replay

    def act(stream: Tensor, tables: DeviceTables, tokens: StepTokens, layer: int) -> None:
        # Imported here: Triton is not installed with builds of torch for CPUs.
        from personae.inference.intervention_buffers.intervention_kernel import run_kernel

        run_kernel(stream, None, tables, tokens, layer)

    return StepRecorder(record, act)


class _Shape(NamedTuple):
    """What a recording holds for."""

    rows: int
    read: range


@dataclass
class _Recording:
    """The steps of one shape: how many were computed without recording, and what replays them."""

    shape: _Shape | None = None
    computed: int = 0
    replay: Step | None = None


class _Numbers:
    """What changes from step to step, in one buffer int64 [3 x most rows + 1] on the device.

    ``tokens`` and ``positions`` are [rows, 1], ``starts`` is [rows, 1] with the first slot of every
    row, ``slot`` [1] is the slot that all rows write.
    """

    def __init__(self, most_rows: int, device: torch.device) -> None:
        self._most = most_rows
        self._buffer = torch.zeros(3 * most_rows + 1, dtype=torch.int64, device=device)
        self.tokens, self.positions, self.starts = self._buffer[:-1].view(3, most_rows, 1)
        self.slot = self._buffer[-1:]

    def put(
        self,
        tokens: NDArray[np.int64],
        positions: NDArray[np.int64],
        starts: NDArray[np.int64],
        slot: int,
    ) -> None:
        """Copy a step's numbers to the device in one transfer; rows beyond them hold one token."""
        packed = np.zeros(3 * self._most + 1, dtype=np.int64)
        columns = packed[:-1].reshape(3, self._most)
        columns[2] = packed[-1] = slot
        columns[:, : len(tokens)] = tokens, positions, starts
        self._buffer.copy_(on_device(packed, self._buffer.device))


@dataclass(frozen=True)
class _Interventions:
    """The decoder's interventions on the device, and what the running rows have of them."""

    tables: InterventionTables
    buffers: StepBuffers
    layers: list[int]

    @classmethod
    def of(
        cls, loaded: LoadedModel, rows: Sequence[PlanRow], vectors: Vectors, most_rows: int
    ) -> _Interventions:
        tables = build_tables(loaded, rows, vectors)
        shape = (loaded.n_layers, loaded.hidden_size)
        buffers = StepBuffers(*shape, most_rows, loaded.device, Room.of(tables))
        buffers.load(tables)
        return cls(tables, buffers, np.flatnonzero(tables.depth.any(axis=1)).tolist())

    def bind(self, running: Sequence[int]) -> None:
        """Put the running rows' programs on the device; all their tokens are of responses."""
        if self.layers:
            numbers = np.asarray(running, dtype=np.int32)
            bits = np.full(len(numbers), RESPONSE)
            packed = np.stack((self.tables.program[numbers], bits, numbers * self.tables.width))
            self.buffers.put(packed.astype(np.int32))


class _Acting(NamedTuple):
    """The interventions on a step of so many rows, by ``act`` or by tensor operations."""

    interventions: _Interventions
    rows: int
    act: Act | None

    @property
    def layers(self) -> list[int]:
        """Layers at which any row has an intervention."""
        return self.interventions.layers

    def apply(self, layer: int, hidden: Tensor) -> Tensor:
        """Return the residual stream [rows, 1, hidden] after the layer's interventions."""
        tables, buffers = self.interventions.tables, self.interventions.buffers
        stream, tokens = hidden.view(self.rows, -1), buffers.first(self.rows)
        if self.act is not None:
            self.act(stream, buffers.tables, tokens, layer)
            return hidden
        depth = int(tables.depth[layer].max())
        return intervene_on(stream, buffers.tables, tokens, layer, depth)[0].view_as(hidden)


class RecordedSteps:
    """Steps of fixed shape, recorded at the second of a shape; see `DecodingSteps`."""

    def __init__(
        self,
        loaded: LoadedModel,
        cache: RowCache,
        rows: Sequence[PlanRow],
        vectors: Vectors,
        recorder: StepRecorder,
    ) -> None:
        self._loaded, self._cache, self._rows, self._recorder = loaded, cache, rows, recorder
        self._numbers = _Numbers(cache.max_rows, loaded.device)
        self._interventions = _Interventions.of(loaded, rows, vectors, cache.max_rows)
        self._recording = _Recording()

    def bind(self, running: Sequence[int]) -> None:
        """See `DecodingSteps.bind`."""
        self._interventions.bind(running)

    def logits(self, tokens: NDArray[np.int64], index: NDArray[np.int64]) -> Tensor:
        """See `DecodingSteps.logits`."""
        self._numbers.put(tokens, index, self._cache.starts, self._cache.end)
        shape = _Shape(self._rounded(len(tokens)), self._cache.read())
        if shape != self._recording.shape:
            self._recording = _Recording(shape)
        recording = self._recording
        if recording.replay is not None:
            return recording.replay()[: len(tokens)]
        recording.computed += 1
        # The first step of a shape makes torch and its libraries choose and load their kernels.
        if recording.computed == 1 or self._recorder.failed:
            return self._compute(shape)[: len(tokens)]
        return self._record(recording, shape)[: len(tokens)]

    def verify(self, row: int, start: int, stop: int) -> int:
        """See `DecodingSteps.verify`."""
        width = self._interventions.tables.width
        counts = self._counts[row * width : (row + 1) * width]
        return verify_counts(self._rows[row], counts.cpu().numpy(), start, stop)

    @property
    def _counts(self) -> Tensor:
        return self._interventions.buffers.tables.counts

    def _rounded(self, rows: int) -> int:
        most = self._cache.max_rows
        step = -(-most // _ROW_STEPS)
        return min(-(-rows // step) * step, most)

    def _record(self, recording: _Recording, shape: _Shape) -> Tensor:
        """Record a step and replay it; if that fails, compute it and never record again.

        The same step may be run several times: it writes the same slot, and its counts are reset.
        """
        before = self._counts.clone()

        def recorded() -> Tensor:
            return self._compute(shape, in_recording=True)

        try:
            reference = None
            if not self._recorder.checked:
                reference, expected = self._compute(shape).clone(), self._counts.clone()
                self._counts.copy_(before)
                recorded()
            replay = self._recorder.record(recorded)
            self._counts.copy_(before)
            logits = replay()
            if reference is not None and not torch.equal(self._counts, expected):
                raise _DifferentError("interventions were counted differently")
            if reference is not None:
                _compare(logits, reference)
        except Exception as error:  # of torch, of a driver, of Triton's compiler or its absence
            if is_out_of_memory(error):
                raise
            self._recorder.failed = True
            logger.warning("decoding steps are not recorded as CUDA graphs: %s", error)
            self._counts.copy_(before)
            return self._compute(shape)
        self._recorder.checked, recording.replay = True, replay
        return logits

    def _compute(self, shape: _Shape, *, in_recording: bool = False) -> Tensor:
        """Run the model on the buffers; return logits [rounded rows, vocabulary]."""
        rows, numbers = shape.rows, self._numbers
        slots = torch.arange(shape.read.start, shape.read.stop, device=numbers.slot.device)
        mask = (slots >= numbers.starts[:rows]) & (slots <= numbers.slot)
        step = FixedStep(rows, numbers.slot, shape.read)
        acting = _Acting(self._interventions, rows, self._recorder.act if in_recording else None)
        with self._cache.fixed(step), intervene(self._loaded, acting):
            output = self._loaded.model(
                input_ids=numbers.tokens[:rows],
                attention_mask=mask,
                position_ids=numbers.positions[:rows],
                past_key_values=self._cache,
                use_cache=True,
            )
        logits: Tensor = output.logits[:, -1]
        return logits


class _DifferentError(RuntimeError):
    """A recorded step differs from the same step by tensor operations."""


def _compare(logits: Tensor, reference: Tensor) -> None:
    """Raise an error if a recorded step's logits are not those of tensor operations."""
    apart = float((logits.float() - reference.float()).abs().mean())
    scale = float(reference.float().std())
    if not apart <= _APART * scale:
        raise _DifferentError(f"logits differ by {apart:.3g} on average, of {scale:.3g}")
