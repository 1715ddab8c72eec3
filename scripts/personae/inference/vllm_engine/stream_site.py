"""What happens to the residual stream after a block: by tensor operations, or by the kernel.

The tensor operations of `act_by_step` are the reference. They do what a step needs and no more, so
they differ from step to step, and a CUDA graph cannot replay them. The kernel can be recorded.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from personae.inference.intervention_buffers.step_buffers import StepBuffers
from personae.inference.intervention_buffers.stream_arithmetic import intervene_on
from personae.inference.vllm_engine.step_state import StepState


class StreamSite:
    """One engine's blocks; an `intervention_op.Site`.

    Parameters
    ----------
    current
        Returns the work in progress, None where there is none: while vLLM warms up or records.
    buffers
        What the kernel reads; None where graphs are not recorded.

    Attributes
    ----------
    eager
        Set to compute every step by tensor operations, whatever was recorded.
    """

    def __init__(
        self, current: Callable[[], StepState | None], buffers: StepBuffers | None
    ) -> None:
        self._current, self.buffers, self.eager = current, buffers, buffers is None

    def replayable(self) -> bool:
        """Return whether a recorded graph does all that the present step needs."""
        state = self._current()
        return not self.eager and (state is None or state.recordable)

    def act(self, hidden: Tensor, residual: Tensor | None, layer: int) -> None:
        """Change the stream after block ``layer`` in place, and add up what is wanted of it."""
        if self.buffers is not None and self.replayable():
            from personae.inference.intervention_buffers.intervention_kernel import run_kernel

            run_kernel(hidden, residual, self.buffers.tables, self.buffers.tokens, layer)
        elif (state := self._current()) is not None:
            act_by_step(state, hidden, residual, layer)


def act_by_step(state: StepState, hidden: Tensor, residual: Tensor | None, layer: int) -> None:
    """Do what a step wants at a layer.

    Where an intervention acts, ``hidden`` becomes the changed stream and ``residual`` zero, so that
    their sum is exact; elsewhere both keep their values.
    """
    depth = int(state.depth[layer])
    if not depth and state.spans is None:
        return
    count = state.n_tokens
    hidden, residual = hidden[:count], None if residual is None else residual[:count]
    stream = hidden if residual is None else hidden + residual
    if depth:
        stream, acted = intervene_on(stream, state.tables, state.tokens, layer, depth)
        if residual is None:
            hidden.copy_(stream)
        else:
            torch.where(acted, stream, hidden, out=hidden)
            residual.masked_fill_(acted, 0)
    if state.spans is not None:
        state.spans.add(layer, stream)
