"""Leading eigenvectors of many symmetric matrices at once, by restarted Lanczos iteration."""

from collections.abc import Callable
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from personae.science.resampling import ratio

FloatArray = NDArray[np.float64]

LANCZOS_STEPS: Final = 16
"""Most vectors of a Krylov basis, by which callers plan their memory."""

_TOLERANCE: Final = 1e-10  # residual |A v - l v| of a converged pair, relative to l
_RESTARTS: Final = 200


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
    for _ in range(_RESTARTS):
        pairs, residual = _lanczos(apply, guess)
        if (residual <= _TOLERANCE * np.maximum(pairs.values, np.finfo(float).tiny)).all():
            break
        guess = pairs.vectors
    return pairs


def _lanczos(
    apply: Callable[[FloatArray], FloatArray], start: FloatArray
) -> tuple[LeadingPairs, FloatArray]:
    """Return the best pairs in a Krylov space from ``start``, and their residuals ``[b]``."""
    b, n = start.shape
    steps = min(n, LANCZOS_STEPS)
    basis, images = np.zeros((b, steps, n)), np.zeros((b, steps, n))
    current = _normed(start)
    for step in range(steps):
        basis[:, step] = current
        images[:, step] = apply(current)
        size = np.linalg.norm(images[:, step], axis=1, keepdims=True)
        rest = images[:, step]
        for _ in range(2):  # once is not enough to stay orthogonal to rounding
            inside = basis[:, : step + 1] @ rest[:, :, np.newaxis]
            rest = rest - (inside.mT @ basis[:, : step + 1])[:, 0]
        # What is left of an exhausted space is rounding: it must not become a direction.
        alive = np.linalg.norm(rest, axis=1, keepdims=True) > 1e-13 * size
        current = _normed(np.where(alive, rest, 0.0))
    values, inner = np.linalg.eigh(basis @ images.mT)
    mix = inner[:, np.newaxis, :, -1]
    vectors, image = (mix @ basis)[:, 0], (mix @ images)[:, 0]
    value = values[:, -1]
    residual = np.linalg.norm(image - value[:, np.newaxis] * vectors, axis=1)
    return LeadingPairs(value, vectors), residual


def _normed(vectors: FloatArray) -> FloatArray:
    """Scale vectors ``[b, n]`` to length one; zero ones stay zero."""
    return np.nan_to_num(ratio(vectors, np.linalg.norm(vectors, axis=1, keepdims=True)))
