"""Prefill: write prompts to the cache, computing each distinct prompt and shared prefix once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from personae.inference.chat_model import Vectors
from personae.inference.torch_engine.batching import forward_tokens, head_at
from personae.inference.torch_engine.forwarding import FedTokens, SharedPrefixes, forward
from personae.inference.torch_engine.kv_cache import RowCache
from personae.inference.torch_engine.model_loading import LoadedModel
from personae.inference.torch_engine.prefix_sharing import compute_prefixes, divide


@dataclass(frozen=True)
class PrefillPrompt:
    """A prompt with its interventions, and the numbers of the rows that have it."""

    fed: FedTokens
    rows: list[int]


@dataclass(frozen=True)
class PrefilledRows:
    """Rows written to the cache, in its order, with logits [rows, vocabulary] at their last tokens.

    ``fired`` is the number of positions at which each row's interventions acted.
    """

    rows: list[int]
    logits: Tensor
    fired: list[int]


class Prefill:
    """Writes prompts to a cache.

    Parameters
    ----------
    loaded, vectors, cache
        The model, float32 [hidden] by name, and the cache that rows are written to.
    max_tokens
        Largest number of tokens of a forward pass.
    """

    def __init__(
        self, loaded: LoadedModel, vectors: Vectors, cache: RowCache, max_tokens: int
    ) -> None:
        self._loaded, self._vectors, self._cache = loaded, vectors, cache
        self._limit = forward_tokens(loaded, max_tokens)

    def run(self, prompts: Sequence[PrefillPrompt]) -> Iterator[PrefilledRows]:
        """Write prompts to the cache, batch by batch; yield the rows of each batch."""
        if self._cache.rows == 0:
            # Later rows end at the slot of earlier ones, so there must be room for the longest.
            self._cache.clear(max(len(prompt.fed.ids) for prompt in prompts))
        rows = [prompt.fed for prompt in prompts]
        # The last token of a prompt is never shared, since its logits are needed.
        most_shared = [len(fed.ids) - 1 for fed in rows]
        for group in divide(self._loaded, rows, most_shared, self._limit):
            group, prefixes = compute_prefixes(
                self._loaded, group, self._vectors, self._limit, keep=True
            )
            for batch in group.batches:
                yield self._enter(
                    [PrefillPrompt(n.fed, prompts[n.number].rows) for n in batch], prefixes
                )

    def _enter(
        self, batch: Sequence[PrefillPrompt], prefixes: SharedPrefixes | None
    ) -> PrefilledRows:
        feds = [prompt.fed for prompt in batch]
        source = [i for i, prompt in enumerate(batch) for _ in prompt.rows]
        lengths = [len(feds[i].ids) for i in source]
        if prefixes:
            logits, fired = self._forward(feds, prefixes)
            self._cache.adopt(prefixes.cache, source, lengths)
        else:
            with self._cache.entering(source, lengths):
                logits, fired = self._forward(feds, None)
        rows = [row for prompt in batch for row in prompt.rows]
        picked = logits[torch.tensor(source, device=logits.device)]
        return PrefilledRows(rows, picked, [fired[i] for i in source])

    def _forward(
        self, feds: Sequence[FedTokens], prefixes: SharedPrefixes | None
    ) -> tuple[Tensor, list[int]]:
        """Return the logits at the prompts' last tokens, and how often interventions acted."""
        last = torch.tensor([len(fed.ids) - fed.shared - 1 for fed in feds])
        at_last = head_at(self._loaded, torch.arange(len(feds)), last)
        cache = None if prefixes else self._cache
        output, fired = forward(
            self._loaded, feds, self._vectors, prefixes, cache=cache, around=at_last
        )
        return output.logits[0], fired
