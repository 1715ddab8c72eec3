"""The vector of a trait at the layer that its sweep chose."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pyarrow.compute as pc
from numpy.typing import NDArray

from personae.data import tables
from personae.data.vector_stacks import stack
from personae.science.steering_arms import VARIANT, chosen_layer


class ChosenVector(NamedTuple):
    """A trait vector at its chosen layer.

    Attributes
    ----------
    layer
        0-based; the residual stream after this block.
    vector
        float32 ``[hidden]``, as extracted (not normalised); it points toward the trait.
    """

    layer: int
    vector: NDArray[np.float32]


def chosen_vector(vectors: str, effects: str) -> ChosenVector | None:
    """Read the vector of one trait at its chosen layer; None for a trait that was dropped.

    Parameters
    ----------
    vectors
        Table ``trait_vectors`` of the trait.
    effects
        Table ``steering_effects`` of its layer sweep.
    """
    table = tables.read(vectors, "trait_vectors")
    if not table.num_rows:
        return None
    family = stack(table.filter(pc.equal(table["variant"], VARIANT)), "trait")
    layer = chosen_layer(tables.read(effects, "steering_effects"))
    return ChosenVector(layer, family.vectors[0][family.layers.index(layer)])
