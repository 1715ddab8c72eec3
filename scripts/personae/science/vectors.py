"""Which role vector a rollout enters, and the Assistant Axis.

Layer ``l`` is the residual stream after decoder block ``l``. The Assistant Axis points *toward* the
default Assistant. AA is Lu et al., arXiv 2601.10387.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from personae.science.projection import Activations, cosine
from personae.science.resampling import Scores

FloatArray = NDArray[np.float64]

FULLY: Final = "fully"
SOMEWHAT: Final = "somewhat"
OTHER: Final = "other"
"""Kinds of a role's rollouts; the others enter no role vector."""

# ASSUME: a judge that returns an expectation over 0-3 is rounded to the nearest level.
FULLY_FROM: Final = 2.5
SOMEWHAT_FROM: Final = 1.5


def rollout_kinds(scores: Scores | Sequence[float | None]) -> list[str]:
    """Return which role vector each rollout enters, by its judge score (AA, role vectors).

    Parameters
    ----------
    scores
        ``[n]`` role adherence 0-3; NaN or ``None`` is unscored and enters none.

    Raises
    ------
    ValueError
        When a score lies outside 0-3.
    """
    score = np.asarray(scores, dtype=np.float64)
    if (outside := score[(score < 0.0) | (score > 3.0)]).size:
        raise ValueError(f"role adherence {outside[0]} is outside 0-3")
    kinds = np.where(score >= SOMEWHAT_FROM, SOMEWHAT, OTHER)
    return [str(kind) for kind in np.where(score >= FULLY_FROM, FULLY, kinds)]


def assistant_axis(default: FloatArray, roles: Activations) -> FloatArray:
    """Assistant Axis, pointing toward the default Assistant (AA, Assistant Axis).

    Parameters
    ----------
    default
        ``[layers, hidden]`` mean activation of all default rollouts.
    roles
        ``[roles, layers, hidden]`` fully-role vectors; each role weighs the same, however many
        rollouts it kept.

    Returns
    -------
    FloatArray
        ``[layers, hidden]`` ``default - mean(roles)``, not normalised.
    """
    return np.asarray(default - roles.mean(axis=0, dtype=np.float64), dtype=np.float64)


def check_axis(
    axis: Activations,
    default: FloatArray,
    roles: Activations,
    *,
    first_layer: int = 0,
    tolerance: float = 1e-6,
) -> FloatArray:
    """Recompute the axis from the saved vectors and require the same direction.

    ``first_layer`` is the layer of the first of the vectors, for the message.

    Returns
    -------
    FloatArray
        ``[layers]`` cosine between the saved and the recomputed axis.

    Raises
    ------
    ValueError
        When a cosine is below ``1 - tolerance``: the axis does not belong to these roles.
    """
    agreement = cosine(axis, assistant_axis(default, roles))
    if (worst := float(agreement.min())) < 1.0 - tolerance:
        layer = first_layer + int(agreement.argmin())
        raise ValueError(
            f"axis at layer {layer} has cosine {worst:.8f} with the axis "
            f"recomputed from {len(roles)} role vectors; at least {1.0 - tolerance:.8f} is required"
        )
    return agreement
