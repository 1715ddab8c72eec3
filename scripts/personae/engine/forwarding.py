"""Forward passes over whole rows, or over what follows a prefix that rows have in common.

`begin` computes every distinct prefix once, into a cache; `forward` computes the rest of each row
on it. Rows that share nothing need `forward` alone.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from personae.engine.batching import batched, pad_right, pass_cost
from personae.engine.interventions import Plan, intervene
from personae.engine.loading import LoadedModel
from personae.engine.prefix import shared_prefixes
from personae.engine.slots import PlanRow
from personae.requests import Intervention

Vectors = Mapping[str, NDArray[np.float32]]
"""float32 [hidden] by name."""


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
        return self.in_prompt, self.ids[: self.shared]


class Numbered(NamedTuple):
    """A row and its place among those that were divided."""

    number: int
    fed: Fed


class PrefixStore(Protocol):
    """A cache that prefixes enter, and that rows continue."""

    def entering(
        self, source: Sequence[int], lengths: Sequence[int]
    ) -> AbstractContextManager[None]:
        """Let the forward pass inside be that of the prefixes; row i has prefix ``source[i]``."""

    def mask(self, tokens: int, device: torch.device) -> Tensor | None:
        """Return the mask of a forward pass of ``tokens`` tokens a row."""


def divide(
    loaded: LoadedModel, rows: Sequence[Fed], most_shared: Sequence[int], limit: int
) -> list[list[Numbered]]:
    """Divide rows into batches, longest rows first: all of a batch share prefixes, or none does.

    Parameters
    ----------
    most_shared
        How many of each row's first tokens may be shared.
    limit
        Most tokens of a forward pass.
    """
    cost = pass_cost(loaded)
    order = sorted(range(len(rows)), key=lambda i: len(rows[i].ids), reverse=True)
    # One token more than may be shared, since the last of what is compared never is.
    compared = [rows[i].ids[: most_shared[i] + 1] for i in order]
    lengths = shared_prefixes(compared, [rows[i].in_prompt for i in order])
    known = [
        Numbered(i, replace(rows[i], shared=shared))
        for i, shared in zip(order, lengths, strict=True)
    ]
    together = batched(
        sorted((n for n in known if n.fed.shared), key=_alike_together),
        lambda n: len(n.fed.ids) - n.fed.shared,
        limit,
        cost=2 * cost,
        shared=lambda n: (n.fed.key, n.fed.shared),
    )
    alone, worth = [n for n in known if not n.fed.shared], []
    for batch in together:
        # Where little is saved, the second forward pass costs more than it spares.
        if sum(n.fed.shared for n in batch) - _once(batch) > 2 * cost:
            worth.append(batch)
        else:
            alone += [Numbered(n.number, rows[n.number]) for n in batch]
    alone.sort(key=lambda n: len(n.fed.ids), reverse=True)
    some = [*worth, *batched(alone, lambda n: len(n.fed.ids), limit, cost=cost)]
    # Rows that begin alike are not equally long: their batches may pad more than they save.
    whole = [Numbered(i, rows[i]) for i in order]
    none = batched(whole, lambda n: len(n.fed.ids), limit, cost=cost)
    best = min(some, none, key=lambda batches: sum(_computed(b, cost) for b in batches))
    return sorted(best, key=lambda batch: -max(len(n.fed.ids) for n in batch))


def _once(batch: Sequence[Numbered]) -> int:
    """Return how many tokens the distinct prefixes of a batch have."""
    return sum({n.fed.key: n.fed.shared for n in batch}.values())


def _computed(batch: Sequence[Numbered], cost: int) -> int:
    """Return what a batch costs, in tokens: all that are computed, and its forward passes."""
    own = len(batch) * max(len(n.fed.ids) - n.fed.shared for n in batch)
    once = _once(batch)
    return own + once + (2 if once else 1) * cost


def _alike_together(row: Numbered) -> tuple[int, tuple[int, ...], int]:
    fed = row.fed
    return fed.shared, fed.ids[: fed.shared], -len(fed.ids)


def begin(
    loaded: LoadedModel, rows: Sequence[Fed], vectors: Vectors, cache: PrefixStore
) -> list[int]:
    """Compute every distinct prefix once and let it enter for all rows that begin so.

    Returns
    -------
    list
        Positions at which each row's interventions acted.
    """
    distinct = {row.key: row for row in rows}
    place = {key: i for i, key in enumerate(distinct)}
    padded = pad_right(loaded, [row.ids[: row.shared] for row in distinct.values()])
    plan = _plan(loaded, [PlanRow(r.in_prompt, r.n_prompt) for r in distinct.values()], vectors)
    plan.at(padded.index)
    source = [place[row.key] for row in rows]
    with intervene(loaded, plan), cache.entering(source, [row.shared for row in rows]):
        decoder = loaded.model.get_decoder()
        decoder(input_ids=padded.ids, past_key_values=cache, use_cache=True)
    fired = [plan.verify(i, 0, row.shared) for i, row in enumerate(distinct.values())]
    return [fired[i] for i in source]


def forward(
    loaded: LoadedModel,
    rows: Sequence[Fed],
    vectors: Vectors,
    cache: Any = None,
    *,
    around: AbstractContextManager[None] | None = None,
    head: bool = True,
) -> tuple[Any, list[int]]:
    """Compute of every row what follows its shared tokens; right padding.

    Parameters
    ----------
    cache
        What `begin` filled, or what whole rows enter; None where nothing is kept.
    around
        Entered for the forward pass, after the interventions: what it hooks sees what they leave.
    head
        Whether logits are computed.

    Returns
    -------
    tuple
        The model's output, and positions at which each row's interventions acted here.

    Raises
    ------
    InterventionError
        If an intervention acted elsewhere than asked.
    """
    padded = pad_right(loaded, [row.ids[row.shared :] for row in rows])
    steps = padded.index.shape[1]
    before = np.array([[row.shared] for row in rows])
    plan = _plan(loaded, [PlanRow(row.interventions, row.n_prompt) for row in rows], vectors)
    plan.at(np.where(padded.index >= 0, padded.index + before, -1))
    model = loaded.model if head else loaded.model.get_decoder()
    continuing: dict[str, Tensor | None] = {}
    if rows[0].shared:
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
    return output, [plan.verify(i, row.shared, len(row.ids)) for i, row in enumerate(rows)]


def _plan(loaded: LoadedModel, rows: Sequence[PlanRow], vectors: Vectors) -> Plan:
    plan = Plan(loaded, rows, vectors)
    plan.bind(range(len(rows)))
    return plan
