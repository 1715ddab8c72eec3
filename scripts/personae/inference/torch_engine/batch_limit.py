"""How many tokens a batch may have in the cache, from the memory that is free."""

from __future__ import annotations

from collections.abc import Callable

import torch

from personae.inference.torch_engine.model_loading import LoadedModel, device_of

FreeBytes = Callable[[torch.device], int]
"""Returns the bytes that can be allocated on a device."""

_CPU_TOKENS = 32768
# The rest is for activations, logits, and the copies that are made while rows enter and leave.
# ASSUME: not measured on a GPU; a batch that does not fit is halved.
_SHARE = 0.6


def free_bytes(device: torch.device) -> int:
    """Return what is free on a CUDA device, with what torch's allocator keeps but does not use."""
    free, _ = torch.cuda.mem_get_info(device)
    kept = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    return int(free) + kept


def batch_tokens(loaded: LoadedModel, asked: int | None, free: FreeBytes = free_bytes) -> int:
    """Return the largest number of tokens (rows x longest row) of one batch.

    Parameters
    ----------
    asked
        What the study sets; None is 32,768 on a CPU, and on GPUs what their free memory holds of
        keys and values.
    free
        Reads a device's free memory.
    """
    if asked is not None:
        return asked
    devices = {device_of(block) for block in loaded.blocks}
    if all(device.type == "cpu" for device in devices):
        return _CPU_TOKENS
    # Blocks are divided evenly over the devices, so the one with the least memory decides.
    room = min(free(device) for device in devices) * len(devices)
    return max(int(room * _SHARE) // cache_bytes(loaded), 1)


def cache_bytes(loaded: LoadedModel) -> int:
    """Return the bytes of keys and values that one token takes in the cache of all layers."""
    config = loaded.model.config.get_text_config(decoder=True)
    heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
    size = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    return int(2 * loaded.n_layers * heads * size * loaded.dtype.itemsize)
