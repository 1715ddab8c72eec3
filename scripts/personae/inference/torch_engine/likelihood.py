"""Score given continuations: the sum of log p of their tokens after a rendered prompt.

Rows with the same prompt and the same interventions in it share its prefill. Logits are computed
only where a continuation token is predicted, and the log-softmax is float32.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from personae.api.requests import LikelihoodRequest, LikelihoodResult, LikelihoodRow
from personae.api.wire_encoding import unpack_vector
from personae.inference.chat_model import Vectors, scored_ids
from personae.inference.engine_errors import InterventionError
from personae.inference.torch_engine.batching import OversizedRows, forward_tokens, halving, head_at
from personae.inference.torch_engine.forwarding import FedTokens, SharedPrefixes, forward
from personae.inference.torch_engine.model_loading import LoadedModel
from personae.inference.torch_engine.prefix_sharing import NumberedRow, compute_prefixes, grouped

Progress = Callable[[int, int], None]

# Largest number of logits of a batch (0.5 GB in bfloat16), and of rows of them converted to float32
# at a time, so that they stay in a CPU's cache.
_LOGITS = 2**28
_SOFTMAX_ROWS = 64


@dataclass(frozen=True)
class _TokenizedRow:
    """A tokenised row; ``fed`` are the tokens that go through the model.

    The last prompt token is fed with the continuation, since it predicts the first token of it; the
    last token of the continuation is not fed, since nothing follows it.
    """

    id: str
    fed: FedTokens
    continuation: list[int]

    @property
    def length(self) -> int:
        return self.fed.n_prompt + len(self.continuation)

    @property
    def predicting(self) -> Tensor:
        """Indices, after the shared tokens, of the tokens that predict the continuation."""
        first = self.fed.n_prompt - 1 - self.fed.shared
        return torch.arange(first, first + len(self.continuation))


def loglikelihood(
    loaded: LoadedModel,
    request: LikelihoodRequest,
    max_batch_tokens: int = 32768,
    progress: Progress | None = None,
) -> Iterator[LikelihoodResult]:
    """Yield the score of every row's continuation, batch by batch.

    Parameters
    ----------
    max_batch_tokens
        Largest number of tokens of a batch (rows x longest row).
    progress
        Called with the numbers of finished rows and of all rows; may raise to stop the work.

    Raises
    ------
    RequestError
        If a row is too long for the model, its prompt too short, or a token id is not the
        model's. At the end, with names, if rows do not fit in memory even alone.
    InterventionError
        If an intervention acted at other positions than requested, or none of the request acted.
    """
    items = [_prepare(loaded, row) for row in request.rows]
    vectors = {name: unpack_vector(text) for name, text in request.vectors.items()}
    limit = min(forward_tokens(loaded, max_batch_tokens), _LOGITS // loaded.vocab_size)
    done, fired, unfit = 0, 0, OversizedRows()
    for group in grouped(loaded, [NumberedRow(i, item.fed) for i, item in enumerate(items)], limit):
        group, prefixes = compute_prefixes(loaded, group, vectors, limit)

        def score(
            batch: list[_TokenizedRow], prefixes: SharedPrefixes | None = prefixes
        ) -> _BatchScores:
            return _score(loaded, batch, vectors, prefixes, request.per_token)

        for batch in group.batches:
            # `fed` is that of the group, which may share nothing.
            some = [replace(items[n.number], fed=n.fed) for n in batch]
            for part in halving(some, score, lambda item: item.id, unfit):
                yield from part.results
                fired, done = fired + part.fired, done + len(part.results)
                if progress is not None:
                    progress(done, len(items))
    unfit.refuse(len(items))
    if not fired and any(item.fed.interventions for item in items):
        raise InterventionError("no intervention of the request ever acted")


def _prepare(loaded: LoadedModel, row: LikelihoodRow) -> _TokenizedRow:
    """Tokenise a row and check its length and its token ids."""
    prompt, continuation = scored_ids(loaded, row)
    ids = (*prompt, *continuation[:-1])
    fed = FedTokens(ids, tuple(row.interventions), len(prompt), shared=len(prompt) - 1)
    return _TokenizedRow(row.id, fed, continuation)


@dataclass(frozen=True)
class _BatchScores:
    """Results of one batch, and the number of positions at which interventions acted."""

    results: list[LikelihoodResult]
    fired: int


@torch.inference_mode()
def _score(
    loaded: LoadedModel,
    items: Sequence[_TokenizedRow],
    vectors: Vectors,
    prefixes: SharedPrefixes | None,
    per_token: bool,
) -> _BatchScores:
    """Run all continuations of a batch after their prompts."""
    feds = [item.fed for item in items]
    row = torch.tensor([i for i, item in enumerate(items) for _ in item.continuation])
    column = torch.cat([item.predicting for item in items])
    at_predicting = head_at(loaded, row, column)
    output, fired = forward(loaded, feds, vectors, prefixes, around=at_predicting)
    targets = torch.tensor([token for item in items for token in item.continuation])
    logprobs, best = _log_softmax_at(output.logits[0], targets, per_token)
    ends = np.cumsum([len(item.continuation) for item in items])
    sums = np.add.reduceat(logprobs, [0, *ends[:-1]])
    results = [
        LikelihoodResult(
            id=item.id,
            sum_logprob=float(total),
            n_tokens=len(item.continuation),
            logprobs=logprobs[end - len(item.continuation) : end].tolist() if per_token else [],
            best_logprobs=best[end - len(item.continuation) : end].tolist() if per_token else [],
        )
        for item, total, end in zip(items, sums, ends, strict=True)
    ]
    return _BatchScores(results, sum(fired))


def _log_softmax_at(
    logits: Tensor, targets: Tensor, with_best: bool
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return log p [n] of one target token per row of logits [n, vocabulary], in nats.

    The second array is that of the most likely token of each row, if asked for, else empty.
    """
    targets = targets.to(logits.device).unsqueeze(1)
    parts, best = [], []
    for first in range(0, len(logits), _SOFTMAX_ROWS):
        some = slice(first, first + _SOFTMAX_ROWS)
        wide = logits[some].float()
        total = wide.logsumexp(1)
        parts.append(wide.gather(1, targets[some]).squeeze(1) - total)
        if with_best:
            best.append(wide.amax(1) - total)
    return _float64(parts), _float64(best)


def _float64(parts: Sequence[Tensor]) -> NDArray[np.float64]:
    if not parts:
        return np.empty(0)
    array: NDArray[np.float64] = torch.cat(list(parts)).double().cpu().numpy()
    return array
