"""The arms of a steering sweep: along what, at which layer, how far."""

from __future__ import annotations

from typing import Final, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from personae.data.vector_stacks import Stack, stack

VARIANT: Final = "response_mean"  # the paper's choice for steering


class Setting(NamedTuple):
    """One arm of a sweep: along what, where, how far."""

    direction: str
    layer: int
    coefficient: float

    @property
    def vector(self) -> str:
        """Key of the arm's vector in a request."""
        return f"{self.direction}@{self.layer}"


def steering_vectors(trait_vectors: pa.Table) -> Stack:
    """Return the response-mean vectors of ``trait_vectors`` by trait, ``[traits, L, hidden]``.

    They are differences of means as extracted, not normalised, and point toward the trait.
    """
    return stack(trait_vectors.filter(pc.equal(trait_vectors["variant"], VARIANT)), "trait")


def chosen_layer(effects: pa.Table) -> int:
    """Return the layer that a ``steering_effects`` table marks as chosen."""
    layers = {row["layer"] for row in effects.to_pylist() if row["chosen"]}
    if len(layers) != 1:
        raise ValueError(f"{len(layers)} layers are marked as chosen; exactly 1 is expected")
    return int(layers.pop())
