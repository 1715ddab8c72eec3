"""Forward passes over whole rows, or over what follows a beginning that rows have in common.

`Beginnings` are computed once; `forward` goes on from them, batch by batch. Rows that share
nothing need `forward` alone.
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
class Fed:
    """The tokens of a row that go through the model.

    Attributes
    ----------
    ids
        All of them.
    interventions
        What acts on the row.
    n_prompt
        How many of its tokens are its prompt.
    shared
        How many of the first, all of its prompt, are computed together with other rows'.
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
        """What rows must have in common to share their prefix."""
        # Where a rule begins at the last prompt token, a prefix that ends there is another one.
        from_end = any(i.positions == "response_from_prompt_end" for i in self.interventions)
        return self.in_prompt, self.ids[: self.shared], from_end and self.shared == self.n_prompt


class Beginnings:
    """What rows begin with, each distinct beginning computed once, for any of the rows to go on.

    Parameters
    ----------
    loaded, vectors
        The model, and float32 [hidden] by name.
    rows
        Rows that share their first ``shared`` tokens with each other.
    keep
        Whether the last forward pass that went on is kept, to be adopted by another cache.
    """

    def __init__(
        self, loaded: LoadedModel, rows: Sequence[Fed], vectors: Vectors, *, keep: bool = False
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

    def go_on(self, rows: Sequence[Fed]) -> list[int]:
        """Let the next forward pass be of what follows these rows' beginnings.

        Returns
        -------
        list
            Positions at which each row's interventions acted in its beginning.
        """
        source = [self._place[row.key] for row in rows]
        self.cache.go_on(source, [row.shared for row in rows])
        return [self._fired[i] for i in source]


def forward(
    loaded: LoadedModel,
    rows: Sequence[Fed],
    vectors: Vectors,
    begun: Beginnings | None = None,
    *,
    cache: Any = None,
    around: AbstractContextManager[None] | None = None,
    head: bool = True,
) -> tuple[Any, list[int]]:
    """Compute of every row what follows its shared tokens; right padding.

    Parameters
    ----------
    begun
        Where the rows' shared tokens are; None where they share none.
    cache
        What whole rows enter; None where nothing is kept.
    around
        Entered for the forward pass, after the interventions: what it hooks sees what they leave.
    head
        Whether logits are computed.

    Returns
    -------
    tuple
        The model's output, and positions at which each row's interventions acted, its beginning
        included.

    Raises
    ------
    InterventionError
        If an intervention acted elsewhere than asked.
    """
    padded = pad_right(loaded, [row.ids[row.shared :] for row in rows])
    before = np.array([[row.shared] for row in rows])
    plan = _plan(loaded, [PlanRow(row.interventions, row.n_prompt) for row in rows], vectors)
    plan.at(np.where(padded.index >= 0, padded.index + before, -1))
    model = loaded.model if head else loaded.model.get_decoder()
    continuing: dict[str, Tensor | None] = {}
    fired = [0] * len(rows)
    if begun is not None:
        fired, cache = begun.go_on(rows), begun.cache
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
