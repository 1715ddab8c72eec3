"""Forward hooks on vLLM's decoder blocks, which hand the residual stream to the operator.

Most of vLLM's models carry the stream in two parts, a block's output and the residual that the next
block's norm adds to it; the stream after the block is their sum. An error in a hook ends the step,
and with it the request: nothing is caught here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from personae.inference.vllm_engine.intervention_op import SITES, intervene


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


def hook_blocks(blocks: nn.ModuleList, site: int) -> None:
    """Put the operator after all blocks, for good; ``site`` is the engine's number.

    A compiler that traces the model traces the hooks with it, so they must be there before.
    """
    for layer, block in enumerate(blocks):
        block.register_forward_hook(_hook(site, layer))


def _hook(site: int, layer: int) -> Callable[[nn.Module, Any, Any], None]:
    def hook(module: nn.Module, args: Any, output: Any) -> None:
        hidden, residual = _parts(module, output)
        if torch.compiler.is_compiling():
            intervene(hidden, residual, site, layer)
        else:
            SITES[site].act(hidden, residual, layer)

    return hook


def _parts(module: nn.Module, output: Any) -> tuple[Tensor, Tensor | None]:
    """Split a block's output into stream, or its first part, and residual; refuse other outputs."""
    if isinstance(output, Tensor):
        return output, None
    if isinstance(output, tuple) and len(output) == 2 and isinstance(output[0], Tensor):
        hidden, residual = output
        if residual is None or (isinstance(residual, Tensor) and residual.ndim == hidden.ndim):
            return hidden, residual
    raise TypeError(
        f"vLLM's {type(module).__name__} puts out neither a stream nor a stream and its residual"
    )
