"""Attention without copies of keys and values, where torch's fused kernel is slow or makes them.

The fused kernel is designed for long queries. On a CPU, with one query per row, or in bfloat16 with
up to a few hundred slots, two batched matrix products over the key-value heads take less than half
its time. On a GPU transformers repeats keys and values for every query head before it calls the
kernel with a mask; with one query per row the products need no copy. Scores then have the model's
dtype, as in transformers' own "eager" attention.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from transformers import AttentionInterface, AttentionMaskInterface, PreTrainedModel
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

_NAME = "one_query_matmul"
# With more slots, the scores of all heads would take much more memory than the rest of a block.
_MOST_SLOTS = 256


def use_fast_decoding(model: PreTrainedModel) -> None:
    """Switch a model from torch's fused kernel to this attention.

    Models that transformers runs with another attention (soft-capping, attention sinks) need
    theirs.
    """
    if model.config._attn_implementation == "sdpa":
        AttentionInterface.register(_NAME, _attend)
        AttentionMaskInterface.register(_NAME, sdpa_mask)
        model.set_attn_implementation(_NAME)


def _attend(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float | None = None,
    **kwargs: Any,
) -> tuple[Tensor, None]:
    """Attend with queries [rows, heads, time, dim]; return [rows, time, heads, dim].

    ``attention_mask`` is bool [rows, 1, time, slots], True for slots that are attended to. None
    means causal attention, or that a single query attends to all slots.
    """
    rows, heads, steps, dim = query.shape
    short = key.shape[2] <= _MOST_SLOTS and query.device.type == "cpu"
    if steps > 1 and not (short and query.dtype == torch.bfloat16):
        output: tuple[Tensor, None] = sdpa_attention_forward(
            module, query, key, value, attention_mask, scaling=scaling, **kwargs
        )
        return output
    # Query heads that share a key-value head are the rows of one matrix product.
    grouped = query.reshape(rows, key.shape[1], -1, dim)
    scores = torch.matmul(grouped, key.transpose(2, 3))
    scores *= dim**-0.5 if scaling is None else scaling
    hidden = _hidden(attention_mask, steps, query.device)
    if hidden is not None:
        per_head = scores.view(rows, heads, steps, -1)
        per_head.masked_fill_(hidden, torch.finfo(scores.dtype).min)
    weights = scores.softmax(-1, dtype=torch.float32).to(value.dtype)
    attended = torch.matmul(weights, value).view(rows, heads, steps, dim)
    return attended.transpose(1, 2), None


def _hidden(mask: Tensor | None, steps: int, device: torch.device) -> Tensor | None:
    """Return the slots that are not attended to, as a mask; None if there are none."""
    if mask is not None:
        return ~mask
    if steps == 1:
        return None
    return torch.ones(steps, steps, dtype=torch.bool, device=device).triu(1)
