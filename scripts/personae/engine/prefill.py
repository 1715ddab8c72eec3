"""Prefill: prompts into the cache, each distinct one once, and what they begin with alike once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from personae.engine.batching import forward_tokens, head_at
from personae.engine.cache import RowCache
from personae.engine.forwarding import Fed, Vectors, begin, divide, forward
from personae.engine.loading import LoadedModel


@dataclass(frozen=True)
class Prompt:
    """A prompt, with what acts on its tokens, and the numbers of the rows that begin with it."""

    fed: Fed
    rows: list[int]


@dataclass(frozen=True)
class Prefilled:
    """Rows now in the cache, in its order: logits [rows, vocabulary] at their last tokens.

    ``fired`` counts positions at which each row's interventions acted.
    """

    rows: list[int]
    logits: Tensor
    fired: list[int]


class Prefill:
    """Lets prompts enter a cache.

    Parameters
    ----------
    loaded, vectors, cache
        The model, float32 [hidden] by name, and where rows enter.
    max_tokens
        Most tokens of one forward pass.
    """

    def __init__(
        self, loaded: LoadedModel, vectors: Vectors, cache: RowCache, max_tokens: int
    ) -> None:
        self._loaded, self._vectors, self._cache = loaded, vectors, cache
        self._limit = forward_tokens(loaded, max_tokens)

    def batches(self, prompts: Sequence[Prompt]) -> list[list[Prompt]]:
        """Divide prompts into batches for `run`.

        The longest come first: later rows end where earlier ones do, so that none may begin
        before the first to enter.
        """
        rows = [prompt.fed for prompt in prompts]
        # The last token is each prompt's own: its logits are wanted.
        divided = divide(self._loaded, rows, [len(fed.ids) - 1 for fed in rows], self._limit)
        return [[Prompt(n.fed, prompts[n.number].rows) for n in batch] for batch in divided]

    def run(self, batch: Sequence[Prompt]) -> Prefilled:
        """Compute one of `batches` and let its rows enter."""
        feds = [prompt.fed for prompt in batch]
        source = [i for i, prompt in enumerate(batch) for _ in prompt.rows]
        lengths = [len(feds[i].ids) for i in source]
        if feds[0].shared:
            own = max(len(fed.ids) - fed.shared for fed in feds)
            slots = max(fed.shared for fed in feds) + own
            cache = RowCache(self._loaded.n_layers, len(feds), slots)
            first = begin(self._loaded, feds, self._vectors, cache)
            logits, fired = self._forward(feds, cache)
            fired = [a + b for a, b in zip(first, fired, strict=True)]
            self._cache.adopt(cache, source, lengths)
        else:
            with self._cache.entering(source, lengths):
                logits, fired = self._forward(feds, self._cache)
        rows = [row for prompt in batch for row in prompt.rows]
        picked = logits[torch.tensor(source, device=logits.device)]
        return Prefilled(rows, picked, [fired[i] for i in source])

    def _forward(self, feds: Sequence[Fed], cache: RowCache) -> tuple[Tensor, list[int]]:
        """Return the logits at the prompts' last tokens, and how often interventions acted."""
        last = torch.tensor([len(fed.ids) - fed.shared - 1 for fed in feds])
        at_last = head_at(self._loaded, torch.arange(len(feds)), last)
        output, fired = forward(self._loaded, feds, self._vectors, cache, around=at_last)
        return output.logits[0], fired
