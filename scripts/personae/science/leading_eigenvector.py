"""Leading eigenvectors of many symmetric matrices at once, by restarted Lanczos iteration."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from personae.science.resampling import ratio

FloatArray = NDArray[np.float64]

LANCZOS_STEPS: Final = 16
"""Most vectors of a Krylov basis, by which callers plan their memory."""

_TOLERANCE: Final = 1e-10  # residual |A v - l v| of a converged pair, relative to l
_RESTARTS: Final = 200
_KEPT: Final = 6  # vectors that a restart keeps


class LeadingPairs(NamedTuple):
    """Largest eigenvalue ``[b]`` and its unit eigenvector ``[b, n]`` of each matrix."""

    values: FloatArray
    vectors: FloatArray


def leading_pairs(apply: Callable[[FloatArray], FloatArray], start: FloatArray) -> LeadingPairs:
    """Find the leading eigenpair of ``b`` symmetric positive semidefinite matrices ``[n, n]``.

    Parameters
    ----------
    apply
        Multiplies ``[b, n]`` vectors by their matrices: no matrix need be formed.
    start
        ``[b, n]`` guesses. A fixed random part is added, so that a guess that is orthogonal to the
        eigenvector, or zero, converges too.

    Returns
    -------
    LeadingPairs
        Accurate to a residual of 1e-10 of the eigenvalue; of two equal eigenvalues any vector.
        A matrix of zeros has the eigenvalue 0.
    """
    noise = np.random.default_rng(0).standard_normal(start.shape[1])
    guess = _normed(start) + 0.1 * noise / np.linalg.norm(noise)
    b, n = start.shape
    empty = np.zeros((b, min(n, LANCZOS_STEPS), n))
    space = _Space(empty, empty.copy(), _normed(guess))
    for _ in range(_RESTARTS):
        _extend(space, apply)
        pairs, residual = _restart(space)
        if (residual <= _TOLERANCE * np.maximum(pairs.values, np.finfo(float).tiny)).all():
            break
    return pairs


@dataclass
class _Space:
    """Orthonormal ``basis [b, steps, n]`` and its ``images``; ``following [b, n]`` comes next.

    The first ``size`` of the steps are filled.
    """

    basis: FloatArray
    images: FloatArray
    following: FloatArray
    size: int = 0


def _extend(space: _Space, apply: Callable[[FloatArray], FloatArray]) -> None:
    """Fill the basis with a Krylov space that goes on from its next vector."""
    for step in range(space.size, space.basis.shape[1]):
        space.basis[:, step] = space.following
        image = space.images[:, step] = apply(space.following)
        length = np.linalg.norm(image, axis=1, keepdims=True)
        held, rest = space.basis[:, : step + 1], image
        for _ in range(2):  # once is not enough to stay orthogonal to rounding
            inside = held @ rest[:, :, np.newaxis]
            rest = rest - (inside.mT @ held)[:, 0]
        # What is left of an exhausted space is rounding: it must not become a direction.
        alive = np.linalg.norm(rest, axis=1, keepdims=True) > 1e-13 * length
        space.following = _normed(np.where(alive, rest, 0.0))


def _restart(space: _Space) -> tuple[LeadingPairs, FloatArray]:
    """Return the best pairs of the space with their residuals ``[b]``, and shrink it around them.

    Several of the best vectors stay (thick restart), so that an eigenvalue close to the largest
    does not slow the search. All their residuals point along the next vector.
    """
    basis, images = space.basis, space.images
    values, inner = np.linalg.eigh(basis @ images.mT)
    space.size = min(_KEPT, basis.shape[1])
    mix = inner[:, :, : -space.size - 1 : -1].mT
    kept, kept_images = mix @ basis, mix @ images
    basis[:, : space.size], images[:, : space.size] = kept, kept_images
    value = values[:, -1]
    residual = np.linalg.norm(kept_images[:, 0] - value[:, np.newaxis] * kept[:, 0], axis=1)
    return LeadingPairs(value, kept[:, 0]), residual


def _normed(vectors: FloatArray) -> FloatArray:
    """Scale vectors ``[b, n]`` to length one; zero ones stay zero."""
    return np.nan_to_num(ratio(vectors, np.linalg.norm(vectors, axis=1, keepdims=True)))
