"""Buffers of fixed size and address that recorded CUDA graphs read: tables, and a step's tokens.

They are filled before a step. A request whose tables do not fit is computed without replaying
graphs.
"""

from __future__ import annotations

from dataclasses import fields
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from personae.inference.intervention_buffers.intervention_tables import InterventionTables
from personae.inference.intervention_buffers.stream_arithmetic import (
    DeviceTables,
    StepTokens,
    on_device,
)


class Room(NamedTuple):
    """How much the buffers hold. The default takes 15 MB for 80 layers of size 8192."""

    programs: int = 4096
    entries: int = 65536
    directions: int = 256
    counters: int = 2**20

    @classmethod
    def of(cls, tables: InterventionTables) -> Room:
        """Return what a request's tables need."""
        counters = (len(tables.program) + 1) * tables.width
        programs = tables.offsets.shape[1] - 1
        return cls(programs, len(tables.rule), len(tables.directions), counters)


class StepBuffers:
    """Tables and tokens that keep their addresses.

    Parameters
    ----------
    n_layers, hidden_size
        The model's shape.
    most_tokens
        Most tokens of a step, padding included.
    """

    def __init__(
        self,
        n_layers: int,
        hidden_size: int,
        most_tokens: int,
        device: torch.device,
        room: Room = Room(),  # noqa: B008, a NamedTuple is immutable
    ) -> None:
        self._room, self._used = room, 0

        def ints(*shape: int) -> Tensor:
            return torch.zeros(shape, dtype=torch.int32, device=device)

        self.tables = DeviceTables(
            offsets=ints(n_layers, room.programs + 1),
            directions=torch.zeros(room.directions, hidden_size, device=device),
            direction=ints(room.entries),
            rule=ints(room.entries),
            source=ints(room.entries),
            numbers=torch.zeros(room.entries, 4, device=device),
            counts=ints(room.counters),
        )
        self._tokens = ints(3, most_tokens)
        self.tokens = StepTokens(*self._tokens)

    def load(self, tables: InterventionTables) -> bool:
        """Copy a request's tables and clear its counters; return False if they do not fit."""
        needed = Room.of(tables)
        if any(asked > there for asked, there in zip(needed, self._room, strict=True)):
            return False
        for each in fields(DeviceTables):
            buffer = getattr(self.tables, each.name)
            if each.name == "counts":
                buffer[: needed.counters] = 0
                continue
            array = getattr(tables, each.name)
            place = tuple(slice(length) for length in array.shape)
            buffer[place] = on_device(array, buffer.device)
        return True

    def put(self, packed: NDArray[np.int32]) -> StepTokens:
        """Copy a step's programs, bits and counters, int32 [3, tokens]; return what they became.

        Tokens beyond them, with which vLLM pads a recorded step, have no program.
        """
        count = packed.shape[1]
        if count:
            self._tokens[:, :count] = on_device(packed, self._tokens.device)
        if count < self._used:
            self._tokens[0, count : self._used] = 0
        self._used = count
        return self.first(count)

    def first(self, count: int) -> StepTokens:
        """Return the buffers of a step's first ``count`` tokens."""
        return StepTokens(*self._tokens[:, :count])
