"""Draw next tokens: temperature, then top-p, with one uniform number per row.

A row's token depends only on its own logits and its own uniform number, so a seed gives the same
response whatever the row's position and the other rows of its batch (up to rounding of logits).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from personae.api.requests import Sampling

# Candidates compared before a row falls back to more: enough for nearly all rows at top_p 0.9.
_CANDIDATES = 64
_GROWTH = 16
_CPU_ROWS = 16
# Numbers of columns into which the vocabulary may be arranged to find the most likely tokens; the
# size of many vocabularies is a multiple of the first.
_COLUMNS = (2048, 512, 128)


def uniforms(seed: int, count: int) -> NDArray[np.float32]:
    """Return a row's stream of ``count`` uniform numbers in [0, 1)."""
    return np.random.Generator(np.random.Philox(seed)).random(count, dtype=np.float32)


def draw(logits: Tensor, sampling: Sampling, uniform: Tensor) -> Tensor:
    """Draw one token per row.

    Parameters
    ----------
    logits
        [rows, vocabulary], any float dtype.
    sampling
        ``temperature`` 0 is greedy; ``top_p`` keeps the fewest tokens, most likely first, whose
        probability reaches it.
    uniform
        float32 [rows] in [0, 1), the quantile of the cumulative distribution; unused if greedy.

    Returns
    -------
    Tensor
        int64 [rows].
    """
    if sampling.temperature == 0:
        return _likeliest(logits)
    if sampling.top_p == 1:
        return _draw_any(logits, sampling.temperature, uniform)
    return _draw_nucleus(logits, sampling, uniform, _CANDIDATES)


def _likeliest(logits: Tensor) -> Tensor:
    """Return the first of the largest entries, by blocks: plain argmax takes ten times as long."""
    blocks = _blocks(logits)
    block = blocks.amax(-1).argmax(-1, keepdim=True)
    within = _block_at(blocks, block).argmax(-1)
    return block.squeeze(1) * blocks.shape[2] + within


def _draw_any(logits: Tensor, temperature: float, uniform: Tensor) -> Tensor:
    """Invert the cumulative distribution over the vocabulary: first the block, then the token."""
    drawn = []
    for some in _parts(logits):
        weights = _blocks(_weights(logits[some], temperature).values)
        cumulative = weights.sum(-1).cumsum(-1)
        target = uniform[some, None] * cumulative[:, -1:]
        block = _first_above(cumulative, target)
        before = cumulative.gather(1, (block - 1).clamp_min(0)) * (block > 0)
        within = _block_at(weights, block).cumsum(-1)
        token = block * weights.shape[2] + _first_above(within, target - before)
        drawn.append(token.squeeze(1))
    return torch.cat(drawn)


def _first_above(cumulative: Tensor, target: Tensor) -> Tensor:
    """Return the first index [rows, 1] whose cumulative weight exceeds the target."""
    # Rounding may make the target equal to the total: then the last index with any weight.
    last = (cumulative < cumulative[:, -1:]).sum(-1, keepdim=True)
    return torch.searchsorted(cumulative, target, right=True).minimum(last)


class _Weights(NamedTuple):
    """``exp(logits / temperature - largest)``, float32 [rows, vocabulary], and the largest."""

    values: Tensor
    largest: Tensor


def _weights(logits: Tensor, temperature: float) -> _Weights:
    top = logits.amax(-1, keepdim=True).float()
    values = logits.float().sub_(top) if logits.dtype != torch.float32 else logits - top
    return _Weights(values.mul_(1.0 / temperature).exp_(), top / temperature)


def _log_total(logits: Tensor, temperature: float) -> Tensor:
    """Return the log of the sum of ``exp(logits / temperature)``, float32 [rows, 1]."""
    parts = (_weights(logits[some], temperature) for some in _parts(logits))
    return torch.cat([w.values.sum(-1, keepdim=True).log_() + w.largest for w in parts])


def _parts(logits: Tensor) -> Iterator[slice]:
    """Yield slices of rows that are processed together; on a CPU they fit into its cache."""
    step = _CPU_ROWS if logits.device.type == "cpu" else len(logits)
    return (slice(first, first + step) for first in range(0, len(logits), step))


def _blocks(values: Tensor) -> Tensor:
    """Return a view [rows, blocks, tokens of a block] of values over the vocabulary."""
    rows, width = values.shape
    size = next(size for size in (128, 64, 32, 1) if width % size == 0)
    return values.view(rows, width // size, size)


def _block_at(blocks: Tensor, block: Tensor) -> Tensor:
    """Return one block of each row, [rows, tokens of a block]; ``block`` is [rows, 1]."""
    return blocks.gather(1, block.unsqueeze(2).expand(-1, -1, blocks.shape[2])).squeeze(1)


def _likeliest_of(logits: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Return the ``count`` largest entries of each row, largest first, and their tokens.

    The vocabulary is arranged in columns. The entries are in the ``count`` columns with the largest
    maxima, so only these are compared one by one.
    """
    rows, width = logits.shape
    columns = next((c for c in _COLUMNS if width % c == 0 and count < c), 0)
    if not columns:
        return logits.topk(count, dim=-1)
    table = logits.view(rows, width // columns, columns)
    column = table.amax(1).topk(count, dim=-1, sorted=False).indices
    entries = table.gather(2, column.unsqueeze(1).expand(-1, table.shape[1], -1)).flatten(1)
    top, place = entries.topk(count, dim=-1)
    line = place.div(count, rounding_mode="floor")
    return top, line * columns + column.gather(1, place % count)


def _draw_nucleus(logits: Tensor, sampling: Sampling, uniform: Tensor, candidates: int) -> Tensor:
    """Sample from the nucleus without sorting the vocabulary.

    The ``candidates`` most likely tokens contain the nucleus if their probability reaches top_p;
    other rows are drawn again with more candidates, finally with all.
    """
    candidates = min(candidates, logits.shape[-1])
    top, tokens = _likeliest_of(logits, candidates)
    total = _log_total(logits, sampling.temperature)
    probability = (top.float() / sampling.temperature - total).exp()
    cumulative = probability.cumsum(-1)
    in_nucleus = (cumulative - probability) < sampling.top_p
    mass = cumulative.gather(1, in_nucleus.sum(-1, keepdim=True) - 1)
    place = (cumulative <= uniform.unsqueeze(1) * mass).sum(-1, keepdim=True)
    drawn = tokens.gather(1, place.minimum(in_nucleus.sum(-1, keepdim=True) - 1)).squeeze(1)
    short = (cumulative[:, -1] < sampling.top_p).nonzero().squeeze(1)
    if len(short) and candidates < logits.shape[-1]:
        more = candidates * _GROWTH
        drawn[short] = _draw_nucleus(logits[short], sampling, uniform[short], more)
    return drawn
