"""Which rows go through the model together: common beginnings once, batches of least padding."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from personae.inference.chat_model import Vectors
from personae.inference.torch_engine.batching import (
    batched,
    is_out_of_memory,
    pass_cost,
    release_memory,
)
from personae.inference.torch_engine.common_prefix import shared_prefixes
from personae.inference.torch_engine.forwarding import Beginnings, Fed
from personae.inference.torch_engine.model_loading import LoadedModel

logger = logging.getLogger(__name__)


class Numbered(NamedTuple):
    """A row and its place among those that were divided."""

    number: int
    fed: Fed


@dataclass(frozen=True)
class Group:
    """Rows in batches, largest first; either all of them have a common beginning, or none has.

    The beginnings of a group are computed together, before its batches: each of them once,
    however many batches continue it.
    """

    batches: list[list[Numbered]]

    @property
    def rows(self) -> list[Fed]:
        """All rows, batch by batch."""
        return [row.fed for batch in self.batches for row in batch]

    @property
    def shares(self) -> bool:
        """Whether its rows have common beginnings."""
        return self.batches[0][0].fed.shared > 0


def divide(
    loaded: LoadedModel, rows: Sequence[Fed], most_shared: Sequence[int], limit: int
) -> list[Group]:
    """Divide rows so that the model computes least.

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
    alike = [row for row in known if row.fed.shared]
    alone = [row for row in known if not row.fed.shared]
    some = grouped(loaded, alike, limit) + whole(loaded, alone, limit)
    # Rows that begin alike are not equally long: their batches may pad more than they save.
    none = whole(loaded, known, limit)
    return min(some, none, key=lambda groups: sum(_computed(group, cost) for group in groups))


def whole(loaded: LoadedModel, rows: Sequence[Numbered], limit: int) -> list[Group]:
    """Return at most one group, in which every row is computed from its first token on."""
    alone = [Numbered(row.number, replace(row.fed, shared=0)) for row in rows]
    return [Group(_batches(loaded, alone, limit))] if rows else []


def grouped(loaded: LoadedModel, rows: Sequence[Numbered], limit: int) -> list[Group]:
    """Group rows by their beginnings, as many of these as fit into a forward pass."""
    beginnings: dict[object, list[Numbered]] = {}
    for row in rows:
        beginnings.setdefault(row.fed.key, []).append(row)
    alike = sorted(beginnings.values(), key=_shared, reverse=True)
    chunks = batched(alike, _shared, limit, cost=pass_cost(loaded))
    return [
        Group(_batches(loaded, [row for rows in chunk for row in rows], limit, _shared(chunk[0])))
        for chunk in chunks
    ]


def begin(
    loaded: LoadedModel, group: Group, vectors: Vectors, limit: int, *, keep: bool = False
) -> tuple[Group, Beginnings | None]:
    """Compute the beginnings of a group; where they do not fit, its rows are to be run whole."""
    if not group.shares:
        return group, None
    try:
        return group, Beginnings(loaded, group.rows, vectors, keep=keep)
    except RuntimeError as error:
        if not is_out_of_memory(error):
            raise
    release_memory()
    logger.warning(
        "out of memory with the beginnings of %d rows; each has its own", len(group.rows)
    )
    [group] = whole(loaded, [row for batch in group.batches for row in batch], limit)
    return group, None


def _batches(
    loaded: LoadedModel, rows: Sequence[Numbered], limit: int, beyond: int = 0
) -> list[list[Numbered]]:
    ordered = sorted(rows, key=_own, reverse=True)
    return batched(ordered, _own, limit, cost=pass_cost(loaded), beyond=beyond)


def _own(row: Numbered) -> int:
    return len(row.fed.ids) - row.fed.shared


def _shared(alike: Sequence[Numbered]) -> int:
    return alike[0].fed.shared


def _computed(group: Group, cost: int) -> int:
    """Return what a group costs, in tokens: all that are computed, and its forward passes."""
    own = sum(cost + len(batch) * max(map(_own, batch)) for batch in group.batches)
    once = {row.key: row.shared for row in group.rows if row.shared}
    return own + (cost + len(once) * max(once.values()) if once else 0)
