"""What is done to the residual stream while a model trains (PV, preventative steering).

Layer ``l`` is the output of block ``l``.

# ASSUME: every token is acted on, the prompt's too, at the one layer chosen for the trait.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from transformers import PreTrainedModel

from personae.inference.engine_errors import InterventionError
from personae.inference.torch_engine.decoder_blocks import find_blocks


class StreamHold(NamedTuple):
    """One operation on every token's residual stream ``h`` after block ``layer``.

    With ``u = v / |v|``: *add* is ``h + coefficient * v``, *ablate* ``h - <h, u> u``.

    Attributes
    ----------
    op, layer, coefficient
        As of an intervention; ``coefficient`` is of *add* only.
    vector
        float32 ``[hidden]``, as extracted: it points toward the trait.
    """

    op: Literal["add", "ablate"]
    layer: int
    vector: NDArray[np.float32]
    coefficient: float = 1.0


class HeldPasses:
    """Counts forward passes, and those on which the hook acted."""

    def __init__(self) -> None:
        self.begun = self.acted = 0

    def passes_begun(self) -> None:
        """Announce one forward pass."""
        self.begun += 1


@contextmanager
def holding(model: PreTrainedModel, hold: StreamHold | None) -> Iterator[HeldPasses]:
    """Apply ``hold`` to every forward pass in the block; gradients pass through it.

    Raises
    ------
    InterventionError
        At the end, if it did not act on every pass.
    """
    passes = HeldPasses()
    if hold is None:
        yield passes
        return
    device = next(model.parameters()).device
    vector = torch.from_numpy(np.asarray(hold.vector, dtype=np.float32)).to(device)
    unit = vector / vector.norm()

    def changed(stream: Tensor) -> Tensor:
        wide = stream.float()
        if hold.op == "add":
            wide = wide + hold.coefficient * vector
        else:
            wide = wide - (wide @ unit).unsqueeze(-1) * unit
        return wide.to(stream.dtype)

    def hook(_module: Any, _args: Any, output: Any) -> Any:
        passes.acted += 1
        if isinstance(output, tuple):
            return (changed(output[0]), *output[1:])
        return changed(output)

    handle = find_blocks(model)[hold.layer].register_forward_hook(hook)
    try:
        yield passes
    finally:
        handle.remove()
    if passes.acted != passes.begun or not passes.acted:
        raise InterventionError(
            f"{hold.op} at layer {hold.layer} acted on {passes.acted} of {passes.begun} forward "
            "passes of the training"
        )
