"""Simulated trait space, and persona spaces of two models."""

from __future__ import annotations

from typing import Final

import numpy as np
import pandas as pd

from personae.report.scorecard.trait_space_claims import ASSISTANT, PERSONAS
from personae.science.projection import unit
from personae.science.space_sums import SpaceSums
from personae.science.trait_space_alignment import component_table, components, cosine_table
from personae.tools.verdict_calibration.simulated_axis import axis_tables
from personae.tools.verdict_calibration.simulated_grids import MIDDLE, Frames, names
from personae.workflow.claim_sizes import Sizes

_HIDDEN: Final = 24
_DRAWS: Final = 99
_OTHER_NOISE: Final = 0.3
"""Length of the noise between the vectors of two models, in lengths of the vectors."""


def trait_space_tables(sizes: Sizes, effect: float, rng: np.random.Generator) -> Frames:
    """Traits of the trait space against the axis; those of both ends lie on it with the effect."""
    n_ends = min(sizes.space_ends, len(ASSISTANT))
    ends = [*ASSISTANT[:n_ends], *PERSONAS[:n_ends]]
    traits = [*ends, *names("s", max(sizes.space_traits - len(ends), 0))]
    side = np.array([1.0] * n_ends + [-1.0] * n_ends)
    place = np.concatenate([side * 1.5, rng.normal(0, 1.5, len(traits) - len(ends))])
    axis = unit(rng.normal(size=_HIDDEN))
    spread = 1.0 / np.sqrt(1.0 + np.arange(_HIDDEN))
    own = rng.normal(size=(len(traits), _HIDDEN)) * spread
    vectors = own + effect * place[:, np.newaxis] * axis * 1.5
    folds = sizes.space_folds
    noise = rng.normal(size=(len(traits), 2, folds, _HIDDEN)) * spread
    sums = noise + np.array([0.5, -0.5])[:, np.newaxis, np.newaxis] * vectors[:, None, None]
    found = SpaceSums(traits, np.ones((len(traits), 2, folds)), sums)
    seed = int(rng.integers(2**31))
    rows, _ = components(found, axis, permutations=_DRAWS, seed=seed)
    cosines = cosine_table(found, axis, layer=MIDDLE, permutations=_DRAWS, seed=seed)
    return {
        "trait_space_components": component_table(
            rows, layer=MIDDLE, n_traits=len(traits)
        ).to_pandas(),
        "trait_space_cosines": cosines.to_pandas(),
    }


def other_model_tables(
    sizes: Sizes, effect: float, first: Frames, rng: np.random.Generator
) -> Frames:
    """Persona space of a second model: unrelated, or that of the first with a little noise."""
    wanted = ("space_coordinates", "role_loadings", "role_cosines")
    if effect == 0:
        other = axis_tables(sizes, 1.0, rng)
        return {name: other[name] for name in wanted}
    made = {"role_cosines": _with_other_noise(first["role_cosines"], rng)}
    for name, column in zip(wanted[:2], ("coordinate", "loading"), strict=True):
        frame: pd.DataFrame = first[name].copy()
        spread = 0.15 * float(frame[column].std())
        frame[column] = frame[column] + rng.normal(0, spread, len(frame))
        made[name] = frame
    return made


def _with_other_noise(cosines: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """Cosines of the same vectors after noise that is each vector's own, in all of its cosines."""
    wide = cosines.pivot(index="left", columns="right", values="cosine")
    wide = wide.loc[wide.columns, wide.columns]
    values, vectors = np.linalg.eigh(wide.to_numpy(float))
    places = vectors * np.sqrt(np.maximum(values, 0.0))
    noise = rng.normal(0, _OTHER_NOISE / np.sqrt(len(places)), places.shape)
    moved = unit(places + noise)
    found = pd.DataFrame(moved @ moved.T, index=wide.index, columns=wide.columns)
    pairs = zip(cosines.left, cosines.right, strict=True)
    return cosines.assign(cosine=[found.loc[left, right] for left, right in pairs])
