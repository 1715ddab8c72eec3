"""Forward passes over whole rows, or over the tokens that follow a shared prefix.

`SharedPrefixes` are computed once; `forward` continues them, batch by batch. Rows without a shared
prefix need `forward` only.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from personae.api.requests import Intervention
from personae.inference.chat_model import Vectors
from personae.inference.torch_engine.batching import pad_right
from personae.inference.torch_engine.intervention_slots import PlanRow
from personae.inference.torch_engine.interventions import Plan, intervene
from personae.inference.torch_engine.model_loading import LoadedModel
from personae.inference.torch_engine.prefix_cache import PrefixCache


@dataclass(frozen=True)
class FedTokens:
    """The tokens of a row that go through the model.

    Attributes
    ----------
    ids
        Token ids of the whole row.
    interventions
        The row's interventions.
    n_prompt
        Number of prompt tokens.
    shared
        Number of leading tokens, all in the prompt, that are computed once with other rows.
    """

    ids: tuple[int, ...]
    interventions: tuple[Intervention, ...]
    n_prompt: int
    shared: int = 0

    @property
    def in_prompt(self) -> tuple[Intervention, ...]:
        """Interventions that can act on prompt tokens."""
        return tuple(i for i in self.interventions if i.positions != "response")

    @property
    def key(self) -> Hashable:
        """Rows with equal keys share their prefix."""
        # An intervention from the last prompt token on acts on a prefix that ends with that token.
        from_end = any(i.positions == "response_from_prompt_end" for i in self.interventions)
        return self.in_prompt, self.ids[: self.shared], from_end and self.shared == self.n_prompt


class SharedPrefixes:
    """The shared prefixes of rows, each distinct one computed once, to be continued by `forward`.

    Parameters
    ----------
    loaded, vectors
        The model, and float32 [hidden] by name.
    rows
        Rows whose first ``shared`` tokens are shared with other rows.
    keep
        Whether the states of the last continuing forward pass are kept, for another cache to adopt.
    """

    def __init__(
        self,
        loaded: LoadedModel,
        rows: Sequence[FedTokens],
        vectors: Vectors,
        *,
        keep: bool = False,
    ) -> None:
        distinct = {row.key: row for row in rows}
        self._place = {key: i for i, key in enumerate(distinct)}
        self.cache = PrefixCache(loaded.n_layers, keep=keep)
        padded = pad_right(loaded, [row.ids[: row.shared] for row in distinct.values()])
        plan = _plan(loaded, [PlanRow(r.in_prompt, r.n_prompt) for r in distinct.values()], vectors)
        plan.at(padded.index)
        with torch.inference_mode(), intervene(loaded, plan):
            decoder = loaded.model.get_decoder()
            decoder(input_ids=padded.ids, past_key_values=self.cache, use_cache=True)
        self._fired = [plan.verify(i, 0, row.shared) for i, row in enumerate(distinct.values())]

    def select(self, rows: Sequence[FedTokens]) -> list[int]:
        """Select the prefixes of these rows for the next forward pass.

        Returns
        -------
        list
            Number of positions in its prefix at which each row's interventions acted.
        """
        source = [self._place[row.key] for row in rows]
        self.cache.select(source, [row.shared for row in rows])
        return [self._fired[i] for i in source]


def forward(
    loaded: LoadedModel,
    rows: Sequence[FedTokens],
    vectors: Vectors,
    prefixes: SharedPrefixes | None = None,
    *,
    cache: Any = None,
    around: AbstractContextManager[None] | None = None,
    head: bool = True,
) -> tuple[Any, list[int]]:
    """Run the model on the tokens of every row after its shared ones; right padding.

    Parameters
    ----------
    prefixes
        The rows' shared prefixes; None if they share none.
    cache
        Cache that whole rows are written to; None to keep nothing.
    around
        Context of the forward pass, entered after the interventions: its hooks see their result.
    head
        Whether logits are computed.

    Returns
    -------
    tuple
        The model's output, and the number of positions at which each row's interventions acted,
        its prefix included.

    Raises
    ------
    InterventionError
        If an intervention acted at other positions than requested.
    """
    padded = pad_right(loaded, [row.ids[row.shared :] for row in rows])
    before = np.array([[row.shared] for row in rows])
    plan = _plan(loaded, [PlanRow(row.interventions, row.n_prompt) for row in rows], vectors)
    plan.at(np.where(padded.index >= 0, padded.index + before, -1))
    model = loaded.model if head else loaded.model.get_decoder()
    continuing: dict[str, Tensor | None] = {}
    fired = [0] * len(rows)
    if prefixes is not None:
        fired, cache = prefixes.select(rows), prefixes.cache
        steps = padded.index.shape[1]
        continuing["attention_mask"] = cache.mask(steps, loaded.device)
        positions = torch.from_numpy(before + np.arange(steps))
        continuing["position_ids"] = positions.to(loaded.device)
    with intervene(loaded, plan), around or nullcontext():
        output = model(
            input_ids=padded.ids,
            past_key_values=cache,
            use_cache=cache is not None,
            **continuing,
        )
    acted = [plan.verify(i, row.shared, len(row.ids)) for i, row in enumerate(rows)]
    return output, [a + b for a, b in zip(fired, acted, strict=True)]


def _plan(loaded: LoadedModel, rows: Sequence[PlanRow], vectors: Vectors) -> Plan:
    plan = Plan(loaded, rows, vectors)
    plan.bind(range(len(rows)))
    return plan
