"""Cosines of trait vectors against a null that respects the anisotropy of the residual stream (PV).

Directions of the residual stream are not spread evenly: activations vary most along a few of them,
so that any two differences of means are more alike than random directions are. The null here is
made of such differences: the roles are divided at random into two halves, and the means of their
vectors are subtracted. Layer ``l`` is the residual stream after block ``l``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from personae.science.projection import unit

FloatArray = NDArray[np.float64]

CONTRASTS: Final = 200
LEAST_DIVIDED: Final = 4
"""Fewest roles that are divided at random into two halves."""
NEGATIVE: Final = ("evil", "apathetic", "impolite")
"""Traits that the paper finds to be alike."""


def random_contrasts(roles: FloatArray, count: int, seed: int) -> FloatArray:
    """Return unit differences ``[count, hidden]`` between random halves of role vectors.

    Parameters
    ----------
    roles
        ``[n, hidden]`` role vectors at one layer, four at least.
    """
    n = len(roles)
    if n < LEAST_DIVIDED:
        raise ValueError(
            f"{n} role vectors cannot be divided at random; at least {LEAST_DIVIDED} are needed"
        )
    rng = np.random.default_rng(seed)
    signs = np.tile(
        np.where(np.arange(n) < n // 2, 1.0 / (n // 2), -1.0 / (n - n // 2)), (count, 1)
    )
    return unit(rng.permuted(signs, axis=1) @ np.asarray(roles, dtype=np.float64))


def contrast_bound(units: FloatArray, direction: FloatArray) -> float:
    """Return the size of cosine with a direction that 95% of random contrasts of roles stay below.

    Parameters
    ----------
    units
        ``[n, hidden]`` role vectors of unit length, in any orthonormal basis of their span.
    direction
        ``[hidden]`` unit vector in the same basis.

    Returns
    -------
    float
        NaN with fewer than four roles, which cannot be divided at random.
    """
    if len(units) < LEAST_DIVIDED:
        return float("nan")
    return float(np.quantile(np.abs(random_contrasts(units, CONTRASTS, 0) @ direction), 0.95))


def coordinates_of(cosines: FloatArray) -> FloatArray:
    """Return unit vectors ``[n, n]``, one a row, that have the given ``cosines [n, n]``."""
    values, vectors = np.linalg.eigh(cosines)
    return unit(vectors * np.sqrt(np.clip(values, 0, None)))


def pair_rows(
    vectors: Mapping[str, FloatArray], contrasts: FloatArray, layer: int
) -> list[dict[str, Any]]:
    """Return the cosine of every pair of traits with its null. Columns of ``trait_pair_cosines``.

    ``null_p95`` is the 95th percentile of the absolute cosine between two random contrasts, and
    ``p_value`` the share of such cosines that are as large as the pair's.
    """
    half = len(contrasts) // 2
    null = np.abs(np.einsum("nh,nh->n", contrasts[:half], contrasts[half : 2 * half]))
    bound, names = float(np.quantile(null, 0.95)), list(vectors)
    units = {name: unit(vector) for name, vector in vectors.items()}
    rows = []
    for index, left in enumerate(names):
        for right in names[index + 1 :]:
            value = float(units[left] @ units[right])
            p = (1 + int((null >= abs(value)).sum())) / (1 + len(null))
            rows.append(
                {
                    "layer": layer,
                    "left": left,
                    "right": right,
                    "cosine": value,
                    "null_p95": bound,
                    "p_value": p,
                }
            )
    return rows


def position_rows(
    vectors: Mapping[str, FloatArray],
    axis: FloatArray,
    roles: FloatArray,
    contrasts: FloatArray,
    layer: int,
) -> list[dict[str, Any]]:
    """Return where every trait lies. Columns of ``trait_positions``.

    ``axis_cosine`` is positive toward the default Assistant, and ``axis_null_p95`` what 95% of
    random contrasts reach in size. ``role_share`` is the share of the vector's squared length in
    the space that the role vectors span, ``chance_share`` that of an isotropic direction. ``group``
    numbers traits that are linked by cosines beyond the null, directly or through others.
    """
    centred = roles - roles.mean(axis=0)
    _, sizes, basis = np.linalg.svd(centred, full_matrices=False)
    span = basis[sizes > 1e-9 * sizes.max()]
    toward = unit(axis)
    bound = float(np.quantile(np.abs(contrasts @ toward), 0.95))
    groups = trait_groups(vectors, contrasts)
    return [
        {
            "trait": name,
            "layer": layer,
            "axis_cosine": float(unit(vector) @ toward),
            "axis_null_p95": bound,
            "role_share": float(((span @ unit(vector)) ** 2).sum()),
            "chance_share": len(span) / roles.shape[1],
            "group": groups[name],
        }
        for name, vector in vectors.items()
    ]


def trait_groups(vectors: Mapping[str, FloatArray], contrasts: FloatArray) -> dict[str, int]:
    """Number the groups of traits by single linkage: joined where a cosine exceeds the null."""
    # Imported here: most nodes that read this module need no clustering.
    from scipy.cluster.hierarchy import fcluster, linkage

    names = list(vectors)
    if len(names) < 2:
        return dict.fromkeys(names, 1)
    units = unit(np.stack([vectors[name] for name in names]))
    half = len(contrasts) // 2
    null = np.abs(np.einsum("nh,nh->n", contrasts[:half], contrasts[half : 2 * half]))
    cosines = units @ units.T
    upper = np.triu_indices(len(names), 1)
    joined = linkage(1.0 - cosines[upper], method="single")
    found = fcluster(joined, t=1.0 - float(np.quantile(null, 0.95)), criterion="distance")
    return {name: int(group) for name, group in zip(names, found, strict=True)}
