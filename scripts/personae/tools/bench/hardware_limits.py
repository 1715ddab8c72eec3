"""Limits of the machine: speed of matrix products and memory, and the resulting tokens/s."""

from __future__ import annotations

import time
from collections.abc import Callable

import torch
from torch import nn

from personae.inference.torch_engine.model_loading import LoadedModel

_TURNS = 5
# Side of the square products: long enough for the device's full speed, short enough for a CPU.
_SIDE = {"cpu": 2048, "cuda": 8192}
_COPIED = {"cpu": 2**28, "cuda": 2**31}  # bytes, far beyond any cache


def decode_limit(loaded: LoadedModel, rows: int) -> float:
    """Return new tokens per second if a step only read every weight once and did its products.

    The slower of the two decides. Attention, whose cost grows with the response, is left out, so
    nothing reaches this limit.
    """
    weights = _weights(loaded)
    flop = 2 * sum(p.numel() for p in weights) * rows / products_per_second(loaded)
    read = sum(p.nbytes for p in weights) / bytes_per_second(loaded.device)
    return rows / max(flop, read)


def _weights(loaded: LoadedModel) -> list[torch.Tensor]:
    """Return the matrices of a decoding step: all of the blocks, and the head."""
    head = loaded.model.get_output_embeddings()
    modules = [*loaded.blocks, *([head] if isinstance(head, nn.Module) else [])]
    return [p for module in modules for p in module.parameters() if p.ndim == 2]


def products_per_second(loaded: LoadedModel) -> float:
    """Return floating-point operations per second of large products in the model's dtype."""
    side = _SIDE.get(loaded.device.type, 2048)
    a = torch.randn(side, side, device=loaded.device).to(loaded.dtype)
    return 2 * side**3 / _shortest(lambda: a @ a, loaded.device)


def bytes_per_second(device: torch.device) -> float:
    """Return bytes read or written per second by a copy of much memory."""
    source = torch.zeros(_COPIED.get(device.type, 2**28), dtype=torch.uint8, device=device)
    target = torch.zeros_like(source)
    return 2 * source.nbytes / _shortest(lambda: target.copy_(source), device)


def _shortest(work: Callable[[], object], device: torch.device) -> float:
    times = []
    for _ in range(_TURNS):
        start = time.perf_counter()
        work()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        times.append(time.perf_counter() - start)
    return min(times)
