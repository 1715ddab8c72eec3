"""Sums of the rollouts behind the vectors of trait space, by fold of the questions, at one layer.

From them follow the vector, ``mean(positive) - mean(negative)``, and how it depends on the sampled
questions. Layer ``l`` is the residual stream after block ``l``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from personae.data import tables
from personae.data.vector_columns import from_matrix, to_matrix
from personae.science.steering_arms import VARIANT
from personae.science.trait_vectors import TraitContrast, TraitSums

FloatArray = NDArray[np.float64]

SIDES: Final = ("positive", "negative")


class SpaceSums(NamedTuple):
    """Kept rollouts of traits, summed by side and fold at one layer.

    Attributes
    ----------
    traits
        The ``n`` traits.
    counts
        ``[n, 2, folds]`` rollouts; side 0 is the positive one.
    sums
        ``[n, 2, folds, hidden]`` float64 sums of response means.
    """

    traits: list[str]
    counts: FloatArray
    sums: FloatArray

    @property
    def vectors(self) -> FloatArray:
        """Trait vectors ``[n, hidden]``, toward the trait."""
        means = self.sums.sum(axis=2) / self.counts.sum(axis=2)[..., np.newaxis]
        return np.asarray(means[:, 0] - means[:, 1])


def sum_table(contrast: TraitContrast, sums: Sequence[TraitSums], *, layer: int) -> pa.Table:
    """Return the kept rollouts of a trait, summed by side and fold of the questions.

    Parameters
    ----------
    contrast
        The trait and what the filter keeps of it.
    sums
        Sums of the kept rollouts of the positive and of the negative side.
    layer
        The layer to write.

    Returns
    -------
    pa.Table
        Columns of ``trait_sums`` for response means; without rows for a trait that is dropped.
    """
    parts = []
    for side, added in zip(SIDES, sums, strict=True):
        if contrast.is_dropped:
            continue
        found = added.of(VARIANT)
        used = np.flatnonzero(found.counts > 0)
        vectors = found.vectors[used, found.layers.index(layer)]
        columns = {
            "trait": [contrast.trait] * len(used),
            "polarity": [side] * len(used),
            "fold": used,
            "layer": [layer] * len(used),
            "n": found.counts[used].astype(int),
            "vector": from_matrix(vectors.astype(np.float32)),
        }
        parts.append(pa.table(columns))
    return tables.assemble(parts, "trait_sums")


def read_space_sums(paths: Sequence[str], layer: int) -> SpaceSums:
    """Read the sums of traits; traits that were dropped are left out."""
    parts = [tables.read(path, "trait_sums", filters=[("layer", "==", layer)]) for path in paths]
    table = tables.assemble([part for part in parts if part.num_rows], "trait_sums")
    traits = list(dict.fromkeys(table["trait"].to_pylist()))
    matrix = to_matrix(table["vector"]).astype(np.float64)
    folds = np.asarray(table["fold"].to_pylist(), dtype=np.int64)
    counts = np.zeros((len(traits), len(SIDES), int(folds.max(initial=-1)) + 1))
    sums = np.zeros((*counts.shape, matrix.shape[1]))
    place = {name: i for i, name in enumerate(traits)}
    at = (
        np.asarray([place[name] for name in table["trait"].to_pylist()], dtype=np.int64),
        np.asarray([SIDES.index(side) for side in table["polarity"].to_pylist()], dtype=np.int64),
        folds,
    )
    counts[at], sums[at] = table["n"].to_numpy(), matrix
    return SpaceSums(traits, counts, sums)
