"""Prefill: prompts into the cache, each distinct one once, and what they begin with alike once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from personae.inference.chat_model import Vectors
from personae.inference.torch_engine.batching import forward_tokens, head_at
from personae.inference.torch_engine.forwarding import Beginnings, Fed, forward
from personae.inference.torch_engine.kv_cache import RowCache
from personae.inference.torch_engine.model_loading import LoadedModel
from personae.inference.torch_engine.prefix_sharing import begin, divide


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

    def run(self, prompts: Sequence[Prompt]) -> Iterator[Prefilled]:
        """Let prompts enter, batch by batch; yield what each batch made."""
        if self._cache.rows == 0:
            # Later rows end where earlier ones do: none may be longer than what is to their left.
            self._cache.clear(max(len(prompt.fed.ids) for prompt in prompts))
        rows = [prompt.fed for prompt in prompts]
        # The last token is each prompt's own: its logits are wanted.
        most_shared = [len(fed.ids) - 1 for fed in rows]
        for group in divide(self._loaded, rows, most_shared, self._limit):
            group, begun = begin(self._loaded, group, self._vectors, self._limit, keep=True)
            for batch in group.batches:
                yield self._enter([Prompt(n.fed, prompts[n.number].rows) for n in batch], begun)

    def _enter(self, batch: Sequence[Prompt], begun: Beginnings | None) -> Prefilled:
        feds = [prompt.fed for prompt in batch]
        source = [i for i, prompt in enumerate(batch) for _ in prompt.rows]
        lengths = [len(feds[i].ids) for i in source]
        if begun:
            logits, fired = self._forward(feds, begun)
            self._cache.adopt(begun.cache, source, lengths)
        else:
            with self._cache.entering(source, lengths):
                logits, fired = self._forward(feds, None)
        rows = [row for prompt in batch for row in prompt.rows]
        picked = logits[torch.tensor(source, device=logits.device)]
        return Prefilled(rows, picked, [fired[i] for i in source])

    def _forward(self, feds: Sequence[Fed], begun: Beginnings | None) -> tuple[Tensor, list[int]]:
        """Return the logits at the prompts' last tokens, and how often interventions acted."""
        last = torch.tensor([len(fed.ids) - fed.shared - 1 for fed in feds])
        at_last = head_at(self._loaded, torch.arange(len(feds)), last)
        cache = None if begun else self._cache
        output, fired = forward(
            self._loaded, feds, self._vectors, begun, cache=cache, around=at_last
        )
        return output.logits[0], fired
