"""The space of trait vectors against the Assistant Axis, at one layer (AA, trait space).

Trait vectors point toward the trait, the axis toward the default Assistant: a positive cosine means
that a trait is one of the Assistant's. The residual stream is anisotropic, so that two unrelated
directions have larger cosines than isotropic ones. The null therefore draws the vectors that traits
without any effect would have: noise with the covariance that the rollouts of a trait and side have
between questions. PC1 is signed toward the axis, so its cosine is never negative.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from personae.data import tables
from personae.data.table_values import number_or_none
from personae.science.geometry import pca
from personae.science.jackknife import FISHER, jackknife_interval
from personae.science.permutations import permutation_p
from personae.science.projection import cosine, unit
from personae.science.resampling import Interval, ratio
from personae.science.space_sums import SpaceSums

FloatArray = NDArray[np.float64]

_MIN_TRAITS: Final = 3
"""With fewer traits there is no trait space."""

_MOST_DEVIATIONS: Final = 1024


class SpaceComponent(NamedTuple):
    """A component of trait space: share of variance, |cos| with the axis, its null."""

    variance_ratio: float
    cosine: Interval
    null_p95: float | None
    p_value: float | None


def is_space(found: SpaceSums) -> bool:
    """Whether there are three traits, and a side with rollouts on two folds for the null."""
    several = ((found.counts > 0).sum(axis=2) > 1).any()
    return len(found.traits) >= _MIN_TRAITS and bool(several)


def cosine_table(
    found: SpaceSums, axis: FloatArray, *, layer: int, permutations: int, seed: int
) -> pa.Table:
    """Cosine of every trait vector with the axis ``[hidden]``.

    Returns
    -------
    pa.Table
        Columns of ``trait_space_cosines``: an interval over folds of the questions (null below
        three), ``null_p95`` of |cos| under the anisotropic null, and the two-sided p-value.
    """
    vectors = found.vectors
    null = null_cosines(deviations(found), axis, draws=permutations, seed=seed)
    values = cosine(vectors, axis)
    p_values = permutation_p(np.abs(values), np.repeat(null[:, np.newaxis], len(values), axis=1))
    rows = []
    for i, trait in enumerate(found.traits):
        bounds = _over_questions(found.counts[i], found.sums[i], axis)
        rows.append(
            {
                "trait": trait,
                "layer": layer,
                "n_kept": int(found.counts[i, 0].sum()),
                "n_folds": int((found.counts[i].sum(axis=0) > 0).sum()),
                "norm": float(np.linalg.norm(vectors[i])),
                "cosine": float(values[i]),
                "cosine_low": bounds[0],
                "cosine_high": bounds[1],
                "null_p95": float(np.quantile(null, 0.95)),
                "p_value": float(p_values[i]),
            }
        )
    return tables.from_rows(rows, "trait_space_cosines")


def _over_questions(
    counts: FloatArray, sums: FloatArray, axis: FloatArray
) -> tuple[float | None, float | None]:
    """Bounds of a trait's cosine: the jackknife over folds of its questions."""
    used = np.flatnonzero(counts.sum(axis=0) > 0)
    weights = np.concatenate([np.ones((1, len(used))), 1.0 - np.eye(len(used))])
    sides = [
        ratio(weights @ sums[side, used], (weights @ counts[side, used])[:, np.newaxis])
        for side in (0, 1)
    ]
    vectors = sides[0] - sides[1]
    lengths = np.linalg.norm(vectors, axis=-1) * np.linalg.norm(axis)
    every, *left_out = ratio(vectors @ axis, lengths)
    found = jackknife_interval(float(every), left_out, FISHER)
    return number_or_none(found.low), number_or_none(found.high)


def deviations(found: SpaceSums) -> FloatArray:
    """Deviations ``[m, hidden]`` between questions: noise without any effect of a trait.

    Each is a fold's mean minus the mean of its trait and side, times the root of its rollouts. At
    most 1,024 of them, evenly spread over the traits, stand for their covariance.

    Raises
    ------
    ValueError
        When no trait and side has two folds.
    """
    parts = []
    for n, total in zip(
        found.counts.reshape(-1, found.counts.shape[2]),
        found.sums.reshape(-1, *found.sums.shape[2:]),
        strict=True,
    ):
        used = n > 0
        if used.sum() > 1:
            centred = total[used] / n[used, np.newaxis] - total.sum(axis=0) / n.sum()
            parts.append(centred * np.sqrt(n[used, np.newaxis]))
    if not parts:
        raise ValueError("no trait has rollouts on two questions; the null needs them")
    rows = np.concatenate(parts)
    places = np.linspace(0, len(rows) - 1, min(len(rows), _MOST_DEVIATIONS)).round().astype(int)
    return np.asarray(rows[places])


def null_cosines(noise: FloatArray, axis: FloatArray, *, draws: int, seed: int) -> FloatArray:
    """|cos| ``[draws]`` of the axis with normal combinations of ``noise [m, hidden]``."""
    weights = np.random.default_rng(seed).normal(size=(draws, len(noise)))
    lengths = np.sqrt(np.einsum("dm,dm->d", weights @ (noise @ noise.T), weights))
    return np.asarray(np.abs(weights @ (noise @ unit(axis))) / lengths)


def components(
    found: SpaceSums, axis: FloatArray, *, permutations: int, seed: int
) -> tuple[list[SpaceComponent], FloatArray]:
    """PCA of the trait vectors, mean-subtracted only, against the axis ``[hidden]``.

    Returns
    -------
    tuple
        Every component in order, and unit directions ``[k, hidden]`` signed toward the axis. Only
        the first component has an interval (jackknife over traits) and a null: the first
        component of as many combinations of `deviations`.
    """
    vectors, n = found.vectors, len(found.traits)
    fit = pca(vectors[:, np.newaxis], standardise=False, toward=axis[np.newaxis])
    directions, shares = fit.components[0], fit.explained[0]
    along = np.abs(directions @ unit(axis))
    rng = np.random.default_rng(seed)
    gram, on_axis = vectors @ vectors.T, vectors @ unit(axis)
    left_out = []
    for trait in range(n):
        some = np.delete(np.arange(n), trait)
        left_out.append(_first_cosine(gram[np.ix_(some, some)], on_axis[some]))
    noise = deviations(found)
    inner, noise_on_axis, null = noise @ noise.T, noise @ unit(axis), []
    for _ in range(permutations):
        weights = rng.normal(size=(n, len(noise)))
        null.append(_first_cosine(weights @ inner @ weights.T, weights @ noise_on_axis))
    first = jackknife_interval(float(along[0]), left_out, FISHER)
    p, null_p95 = float(permutation_p(along[0], null)), float(np.quantile(null, 0.95))
    rows = [SpaceComponent(float(shares[0]), first, null_p95, p)]
    for share, value in zip(shares[1:].tolist(), along[1:].tolist(), strict=True):
        rows.append(SpaceComponent(share, Interval(value, np.nan, np.nan), None, None))
    return rows, directions


def _first_cosine(gram: FloatArray, on_axis: FloatArray) -> float:
    """|cos| of the first component of ``n`` vectors with the axis; NaN when all are the same.

    Parameters
    ----------
    gram
        ``[n, n]`` inner products of the vectors.
    on_axis
        ``[n]`` their projections on the unit axis.
    """
    centred = gram - gram.mean(axis=0) - gram.mean(axis=1)[:, np.newaxis] + gram.mean()
    values, basis = np.linalg.eigh(centred)
    length = float(np.sqrt(max(values[-1], 0.0)))
    along = float(abs(basis[:, -1] @ (on_axis - on_axis.mean())))
    return along / length if length > 0.0 else float("nan")


def component_table(rows: list[SpaceComponent], *, layer: int, n_traits: int) -> pa.Table:
    """Return components as columns of ``trait_space_components``."""
    return tables.from_rows(
        [
            {
                "layer": layer,
                "component": i,
                "n_traits": n_traits,
                "variance_ratio": row.variance_ratio,
                "cosine": row.cosine.estimate,
                "cosine_low": number_or_none(row.cosine.low),
                "cosine_high": number_or_none(row.cosine.high),
                "null_p95": row.null_p95,
                "p_value": row.p_value,
            }
            for i, row in enumerate(rows)
        ],
        "trait_space_components",
    )


def plane_table(
    families: dict[str, tuple[list[str], FloatArray]],
    axis: FloatArray,
    component: FloatArray,
    *,
    layer: int,
) -> pa.Table:
    """Place vectors of roles and traits in the plane of the axis and a component of trait space.

    Parameters
    ----------
    families
        Kind to names and vectors ``[n, hidden]``; those of roles minus their mean.
    axis, component
        ``[hidden]``; of the component only what is orthogonal to the axis is used.

    Returns
    -------
    pa.Table
        Columns of ``trait_space_plane``: cosines with both directions.
    """
    x = unit(axis)
    y = unit(component - (component @ x) * x)
    parts = []
    for kind, (names, vectors) in families.items():
        directions = unit(vectors)
        parts.append(
            pa.table(
                {
                    "layer": [layer] * len(names),
                    "kind": [kind] * len(names),
                    "name": names,
                    "axis_cosine": directions @ x,
                    "component_cosine": directions @ y,
                }
            )
        )
    return tables.assemble(parts, "trait_space_plane")
