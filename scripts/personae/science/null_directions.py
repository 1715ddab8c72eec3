"""Random directions as nulls: isotropic ones, and ones with the residual stream's own covariance.

The residual stream varies much more along a few directions than along others. An isotropic
direction is nearly orthogonal to those, so that it separates and drifts less than a meaningless
direction of the stream does; a null of both kinds is the stricter one.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from personae.science.projection import unit
from personae.science.resampling import encode

FloatArray = NDArray[np.float64]

OF_EACH_KIND: Final = 20
"""Directions of either kind; with 40 in all the smallest p-value is 1 of 41."""

_ROWS: Final = 4096


def null_directions(
    stream: NDArray[np.floating[Any]], groups: ArrayLike, seed: int
) -> dict[str, FloatArray]:
    """Draw unit directions ``[hidden]`` by name, ``random_isotropic..`` and ``random_stream..``.

    Parameters
    ----------
    stream
        ``[n, hidden]`` means of the residual stream at one layer.
    groups
        ``[n]`` group (role, conversation) of each. Directions of the second kind are normal
        combinations of deviations from the group's mean: between groups the stream varies by the
        very effect that is held against the null. There are none where every group has one mean.
    seed
        Of the draw.
    """
    rng = np.random.default_rng(seed)
    n, hidden = stream.shape
    isotropic = rng.standard_normal((OF_EACH_KIND, hidden))
    weights = rng.standard_normal((OF_EACH_KIND, n))
    member = encode(groups)
    for row in weights:  # so that the groups' means have no weight
        row -= (np.bincount(member, row) / np.bincount(member))[member]
    families = {"isotropic": unit(isotropic)}
    if n > len(np.unique(member)):
        sums = np.zeros((OF_EACH_KIND, hidden))
        for start in range(0, n, _ROWS):  # a float64 copy of all would be the node's largest array
            some = slice(start, start + _ROWS)
            sums += weights[:, some] @ stream[some].astype(np.float64)
        families["stream"] = unit(sums)
    return {
        f"random_{kind}{i:02d}": direction
        for kind, family in families.items()
        for i, direction in enumerate(family)
    }
