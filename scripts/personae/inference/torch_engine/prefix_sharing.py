"""Divide rows into forward passes: shared prefixes are computed once, padding is minimal."""

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
from personae.inference.torch_engine.forwarding import FedTokens, SharedPrefixes
from personae.inference.torch_engine.model_loading import LoadedModel

logger = logging.getLogger(__name__)


class NumberedRow(NamedTuple):
    """A row and its index among the rows of the request."""

    number: int
    fed: FedTokens


@dataclass(frozen=True)
class PrefixGroup:
    """Rows in batches, largest first; either all of them have a shared prefix, or none has.

    The prefixes of a group are computed together before its batches, each once, however many
    batches continue it.
    """

    batches: list[list[NumberedRow]]

    @property
    def rows(self) -> list[FedTokens]:
        """All rows, batch by batch."""
        return [row.fed for batch in self.batches for row in batch]

    @property
    def shares(self) -> bool:
        """Whether its rows have shared prefixes."""
        return self.batches[0][0].fed.shared > 0


def divide(
    loaded: LoadedModel, rows: Sequence[FedTokens], most_shared: Sequence[int], limit: int
) -> list[PrefixGroup]:
    """Divide rows so that the model computes the fewest tokens.

    Parameters
    ----------
    most_shared
        Largest number of leading tokens of each row that may be shared.
    limit
        Largest number of tokens of a forward pass.
    """
    cost = pass_cost(loaded)
    order = sorted(range(len(rows)), key=lambda i: len(rows[i].ids), reverse=True)
    # One token more than may be shared, since `shared_prefixes` never shares the last one.
    compared = [rows[i].ids[: most_shared[i] + 1] for i in order]
    lengths = shared_prefixes(compared, [rows[i].in_prompt for i in order])
    known = [
        NumberedRow(i, replace(rows[i], shared=shared))
        for i, shared in zip(order, lengths, strict=True)
    ]
    alike = [row for row in known if row.fed.shared]
    alone = [row for row in known if not row.fed.shared]
    some = grouped(loaded, alike, limit) + whole(loaded, alone, limit)
    # Rows with a shared prefix differ in length: their batches may pad more than sharing saves.
    none = whole(loaded, known, limit)
    return min(some, none, key=lambda groups: sum(_computed(group, cost) for group in groups))


def whole(loaded: LoadedModel, rows: Sequence[NumberedRow], limit: int) -> list[PrefixGroup]:
    """Return at most one group, in which every row is computed from its first token."""
    alone = [NumberedRow(row.number, replace(row.fed, shared=0)) for row in rows]
    return [PrefixGroup(_batches(loaded, alone, limit))] if rows else []


def grouped(loaded: LoadedModel, rows: Sequence[NumberedRow], limit: int) -> list[PrefixGroup]:
    """Group rows by their prefixes, as many prefixes as fit into a forward pass."""
    beginnings: dict[object, list[NumberedRow]] = {}
    for row in rows:
        beginnings.setdefault(row.fed.key, []).append(row)
    alike = sorted(beginnings.values(), key=_shared, reverse=True)
    chunks = batched(alike, _shared, limit, cost=pass_cost(loaded))
    return [
        PrefixGroup(
            _batches(loaded, [row for rows in chunk for row in rows], limit, _shared(chunk[0]))
        )
        for chunk in chunks
    ]


def compute_prefixes(
    loaded: LoadedModel, group: PrefixGroup, vectors: Vectors, limit: int, *, keep: bool = False
) -> tuple[PrefixGroup, SharedPrefixes | None]:
    """Compute the prefixes of a group; if they do not fit in memory, return its rows unshared."""
    if not group.shares:
        return group, None
    try:
        return group, SharedPrefixes(loaded, group.rows, vectors, keep=keep)
    except RuntimeError as error:
        if not is_out_of_memory(error):
            raise
    release_memory()
    logger.warning(
        "out of memory with the shared prefixes of %d rows; each row is computed whole",
        len(group.rows),
    )
    [group] = whole(loaded, [row for batch in group.batches for row in batch], limit)
    return group, None


def _batches(
    loaded: LoadedModel, rows: Sequence[NumberedRow], limit: int, beyond: int = 0
) -> list[list[NumberedRow]]:
    ordered = sorted(rows, key=_own, reverse=True)
    return batched(ordered, _own, limit, cost=pass_cost(loaded), beyond=beyond)


def _own(row: NumberedRow) -> int:
    return len(row.fed.ids) - row.fed.shared


def _shared(alike: Sequence[NumberedRow]) -> int:
    return alike[0].fed.shared


def _computed(group: PrefixGroup, cost: int) -> int:
    """Return the cost of a group in tokens: those computed, plus the cost of its forward passes."""
    own = sum(cost + len(batch) * max(map(_own, batch)) for batch in group.batches)
    once = {row.key: row.shared for row in group.rows if row.shared}
    return own + (cost + len(once) * max(once.values()) if once else 0)
