"""Tables of the trait space."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from personae.report.scorecard.trait_space_claims import ASSISTANT, PERSONAS
from personae.science.projection import unit
from personae.science.space_sums import SpaceSums
from personae.science.trait_space_alignment import (
    component_table,
    components,
    cosine_table,
    plane_table,
)

from .basics import HIDDEN, MIDDLE, ROLES, Planted

_FOLDS = 6


def trait_space_tables(plan: Planted) -> dict[str, pa.Table]:
    """Traits of the Assistant toward the axis and theatrical ones away, and traits between."""
    rng = plan.rng("traits of the space")
    axis = unit(rng.normal(size=HIDDEN))
    between = [f"trait_{i}" for i in range(12)]
    places = dict.fromkeys(ASSISTANT, 3.0) | dict.fromkeys(PERSONAS, -3.0)
    places |= dict(zip(between, np.linspace(-2, 2, len(between)).tolist(), strict=True))
    counts = np.full((len(places), 2, _FOLDS), 4.0)
    sums = rng.normal(size=(*counts.shape, HIDDEN)) * 2.0
    pushed = np.asarray(list(places.values())) * plan.effect
    sums[:, 0] += 4.0 * pushed[:, np.newaxis, np.newaxis] * axis
    found = SpaceSums(list(places), counts, sums)
    asked = {"permutations": 100, "seed": 0}
    rows, basis = components(found, axis, **asked)
    families = {
        "role": (ROLES, rng.normal(size=(len(ROLES), HIDDEN))),
        "trait": (found.traits, found.vectors),
    }
    made = {
        "trait_space_cosines": cosine_table(found, axis, layer=MIDDLE, **asked),
        "trait_space_components": component_table(rows, layer=MIDDLE, n_traits=len(places)),
        "trait_space_plane": plane_table(families, axis, basis[0], layer=MIDDLE),
    }
    return {f"trait_space/{name}": table for name, table in made.items()}
