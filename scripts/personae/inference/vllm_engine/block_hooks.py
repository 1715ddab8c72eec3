"""Forward hooks on vLLM's decoder blocks: they change the residual stream, and add up spans of it.

Most of vLLM's models carry the stream in two parts, a block's output and the residual that the next
block's norm adds to it; the stream after the block is their sum. An error in a hook ends the step,
and with it the request: nothing is caught here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from personae.inference.vllm_engine.step_state import StepState
from personae.inference.vllm_engine.stream_arithmetic import intervene_on

Current = Callable[[], StepState | None]
"""Returns the work in progress, None where there is none: while vLLM warms up."""


class _Parts(NamedTuple):
    """A block's output: ``hidden`` and, where the model carries it apart, ``residual``."""

    hidden: Tensor
    residual: Tensor | None


def find_vllm_blocks(model: nn.Module, n_layers: int) -> nn.ModuleList:
    """Return the decoder blocks of one of vLLM's models; element ``l`` is layer ``l``.

    Raises
    ------
    ValueError
        If there is not exactly one list of as many modules as the model has layers.
    """
    lists = {
        name: child
        for name, child in model.named_modules()
        if isinstance(child, nn.ModuleList) and len(child) == n_layers
        if name.rpartition(".")[2] in ("layers", "h", "blocks") and "vision" not in name
    }
    if len(lists) != 1:
        raise ValueError(
            f"cannot find the decoder blocks of vLLM's {type(model).__name__}: it should have one "
            f"list of {n_layers} modules, and has {sorted(lists) or 'none'}"
        )
    return next(iter(lists.values()))


def hook_blocks(blocks: nn.ModuleList, current: Current) -> None:
    """Hook all blocks for good; the hooks do nothing while there is no work."""
    for layer, block in enumerate(blocks):
        block.register_forward_hook(_hook(layer, current))


def _hook(layer: int, current: Current) -> Callable[[nn.Module, Any, Any], Any]:
    def hook(module: nn.Module, args: Any, output: Any) -> Any:
        state = current()
        if state is None or not (state.depth[layer] or state.spans is not None):
            return None
        hidden, residual = _parts(module, output)
        count = state.n_tokens
        stream = hidden[:count] if residual is None else hidden[:count] + residual[:count]
        acted = None
        if depth := int(state.depth[layer]):
            stream, acted = intervene_on(stream, state.tables, state.tokens, layer, depth)
        if state.spans is not None:
            state.spans.add(layer, stream)
        return None if acted is None else _changed(output, _Parts(hidden, residual), stream, acted)

    return hook


def _parts(module: nn.Module, output: Any) -> _Parts:
    """Split a block's output; refuse one of another kind."""
    if isinstance(output, Tensor):
        return _Parts(output, None)
    match output:
        case (Tensor() as hidden, Tensor() as residual) if hidden.shape == residual.shape:
            return _Parts(hidden, residual)
        case (Tensor() as hidden, None):
            return _Parts(hidden, None)
    raise TypeError(
        f"vLLM's {type(module).__name__} puts out neither a stream nor a stream and its residual"
    )


def _changed(output: Any, parts: _Parts, stream: Tensor, acted: Tensor) -> Any:
    """Return the block's output with the changed stream.

    Where an intervention acted, the output holds the whole stream and the residual is zero, so that
    their sum is exact; elsewhere both keep their values.
    """
    count = len(stream)
    if parts.residual is None:
        hidden = parts.hidden.clone()
        hidden[:count] = stream
        return hidden if isinstance(output, Tensor) else (hidden, None)
    where = acted.unsqueeze(1)
    hidden, residual = parts.hidden.clone(), parts.residual.clone()
    hidden[:count] = torch.where(where, stream, hidden[:count])
    residual[:count] = residual[:count].masked_fill(where, 0)
    return hidden, residual
