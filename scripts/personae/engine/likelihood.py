"""Score given continuations: the sum of log p of their tokens after a rendered prompt.

Rows with the same prompt, treated alike within it, share one prefill of it. Logits are computed
only where a continuation token is predicted, and the log-softmax is float32.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from personae.engine.batching import (
    batched,
    forward_tokens,
    halving,
    head_at,
    pad_right,
    pass_cost,
)
from personae.engine.cache import RowCache
from personae.engine.chat import render_continuation, render_prompt
from personae.engine.errors import InterventionError, RequestError
from personae.engine.interventions import Plan, intervene
from personae.engine.loading import LoadedModel
from personae.engine.slots import PlanRow
from personae.requests import Intervention, LikelihoodRequest, LikelihoodResult, LikelihoodRow
from personae.wire import unpack_vector

Progress = Callable[[int, int], None]

# Most logits of a batch (0.5 GB in bfloat16), and rows of them turned to float32 at a time: few
# enough to stay in a CPU's cache.
_LOGITS = 2**28
_SOFTMAX_ROWS = 64


@dataclass(frozen=True)
class _Item:
    """A row, tokenised. The last prompt token is fed with the continuation: it predicts."""

    number: int
    id: str
    prompt: tuple[int, ...]
    continuation: list[int]
    interventions: Sequence[Intervention]

    @property
    def prefix(self) -> tuple[int, ...]:
        return self.prompt[:-1]

    @property
    def in_prompt(self) -> tuple[Intervention, ...]:
        """Interventions that can act on prompt tokens."""
        return tuple(i for i in self.interventions if i.positions != "response")

    @property
    def prefix_key(self) -> Hashable:
        """What rows must have in common to share a prefill."""
        return self.prefix, self.in_prompt

    @property
    def length(self) -> int:
        return len(self.prompt) + len(self.continuation)


def loglikelihood(
    loaded: LoadedModel,
    request: LikelihoodRequest,
    max_batch_tokens: int = 32768,
    progress: Progress | None = None,
) -> list[LikelihoodResult]:
    """Score every row's continuation, in the order of the request.

    Parameters
    ----------
    max_batch_tokens
        Most tokens of a batch (rows x longest row).
    progress
        Called with the numbers of finished rows and of all rows; may raise to stop the work.

    Raises
    ------
    RequestError
        If a row is too long for the model or its prompt too short.
    InterventionError
        If an intervention acted elsewhere than asked, or none of the request ever acted.
    """
    items = [_prepare(loaded, number, row) for number, row in enumerate(request.rows)]
    vectors = {name: unpack_vector(text) for name, text in request.vectors.items()}
    limit = min(forward_tokens(loaded, max_batch_tokens), _LOGITS // loaded.vocab_size)
    sums: dict[int, float] = {}
    fired = 0
    for batch in batched(
        _alike_together(items),
        lambda item: len(item.continuation),
        limit,
        cost=pass_cost(loaded),
        shared=lambda item: (item.prefix_key, len(item.prompt)),
    ):
        for part in halving(batch, lambda b: _score(loaded, b, vectors), lambda item: item.id):
            sums.update(part.sums)
            fired += part.fired
            if progress is not None:
                progress(len(sums), len(items))
    if not fired and any(item.interventions for item in items):
        raise InterventionError("no intervention of the request ever acted")
    return [
        LikelihoodResult(id=i.id, sum_logprob=sums[i.number], n_tokens=len(i.continuation))
        for i in items
    ]


def _prepare(loaded: LoadedModel, number: int, row: LikelihoodRow) -> _Item:
    """Tokenise a row and check its length."""
    if row.continuation is not None:
        prompt, continuation = render_continuation(loaded.tokenizer, row.messages, row.continuation)
    else:
        prompt = render_prompt(loaded.tokenizer, row.messages)
        continuation = list(row.continuation_ids or ())
    item = _Item(number, row.id, tuple(prompt), continuation, row.interventions)
    if not (len(prompt) > 1 and item.length <= loaded.max_length):
        raise RequestError(
            f"row {row.id!r}: {len(prompt)} prompt tokens (at least 2) and {len(continuation)} of "
            f"the continuation do not fit the model's {loaded.max_length}"
        )
    return item


def _alike_together(items: Sequence[_Item]) -> Iterator[_Item]:
    """Yield items with the same prefix one after another, the longest groups first."""
    groups: dict[Hashable, list[_Item]] = {}
    for item in items:
        groups.setdefault(item.prefix_key, []).append(item)
    longest = {key: max(item.length for item in group) for key, group in groups.items()}
    for key in sorted(groups, key=lambda key: longest[key], reverse=True):
        yield from sorted(groups[key], key=lambda item: item.length, reverse=True)


@dataclass(frozen=True)
class _Part:
    """What one batch gave: sums of log p by row number, and positions of interventions."""

    sums: dict[int, float]
    fired: int


@torch.inference_mode()
def _score(
    loaded: LoadedModel, items: Sequence[_Item], vectors: Mapping[str, NDArray[np.float32]]
) -> _Part:
    """Prefill the batch's distinct prefixes, then run all continuations on them."""
    prompt = max(len(item.prompt) for item in items)
    continuation = max(len(item.continuation) for item in items)
    cache = RowCache(loaded.n_layers, len(items), prompt + continuation)
    fired = _prefill(loaded, items, vectors, cache)
    plan = Plan(loaded, [PlanRow(i.interventions, len(i.prompt)) for i in items], vectors)
    plan.bind(range(len(items)))
    logits = _continue(loaded, items, plan, cache)
    fired += sum(plan.verify(i, len(item.prefix), item.length - 1) for i, item in enumerate(items))
    targets = torch.tensor([token for item in items for token in item.continuation])
    logprobs = _log_softmax_at(logits, targets)
    starts = np.cumsum([0, *(len(item.continuation) for item in items[:-1])])
    sums = np.add.reduceat(logprobs, starts)
    return _Part({i.number: float(s) for i, s in zip(items, sums, strict=True)}, fired)


def _continue(loaded: LoadedModel, items: Sequence[_Item], plan: Plan, cache: RowCache) -> Tensor:
    """Run all continuations; return the logits [n continuation tokens, vocabulary]."""
    # The last prompt token predicts the first of the continuation; the last predicts nothing.
    padded = pad_right(loaded, [[i.prompt[-1], *i.continuation[:-1]] for i in items])
    steps = padded.index.shape[1]
    before = np.array([[len(item.prefix)] for item in items])
    plan.at(np.where(padded.index >= 0, padded.index + before, -1))
    predicting = torch.from_numpy(padded.index >= 0).nonzero()
    with intervene(loaded, plan), head_at(loaded, predicting[:, 0], predicting[:, 1]):
        output = loaded.model(
            input_ids=padded.ids,
            attention_mask=cache.mask(steps, loaded.device),
            position_ids=torch.from_numpy(before + np.arange(steps)).to(loaded.device),
            past_key_values=cache,
            use_cache=True,
        )
    logits: Tensor = output.logits[0]
    return logits


def _prefill(
    loaded: LoadedModel,
    items: Sequence[_Item],
    vectors: Mapping[str, NDArray[np.float32]],
    cache: RowCache,
) -> int:
    """Forward every distinct prefix once; return how often interventions acted, for all rows."""
    distinct = {item.prefix_key: item for item in items}
    place = {key: i for i, key in enumerate(distinct)}
    source = [place[item.prefix_key] for item in items]
    prefixes = [item.prefix for item in distinct.values()]
    padded = pad_right(loaded, prefixes)
    plan = Plan(loaded, [PlanRow(i.in_prompt, len(i.prompt)) for i in distinct.values()], vectors)
    plan.bind(range(len(distinct)))
    plan.at(padded.index)
    lengths = [len(item.prefix) for item in items]
    with intervene(loaded, plan), cache.entering(source, lengths):
        decoder = loaded.model.get_decoder()
        decoder(input_ids=padded.ids, past_key_values=cache, use_cache=True)
    fired = [plan.verify(i, 0, len(prefix)) for i, prefix in enumerate(prefixes)]
    return sum(fired[i] for i in source)


def _log_softmax_at(logits: Tensor, targets: Tensor) -> NDArray[np.float64]:
    """Return log p of one target a row of logits [n, vocabulary]."""
    targets = targets.to(logits.device).unsqueeze(1)
    parts = []
    for first in range(0, len(logits), _SOFTMAX_ROWS):
        some = slice(first, first + _SOFTMAX_ROWS)
        wide = logits[some].float()
        parts.append(wide.gather(1, targets[some]).squeeze(1) - wide.logsumexp(1))
    logprobs: NDArray[np.float64] = torch.cat(parts).double().cpu().numpy()
    return logprobs
