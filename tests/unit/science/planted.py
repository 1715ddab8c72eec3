"""Planted data for the science tests: rollouts whose results are known."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from personae.science.resampling import Bootstrap

FloatArray = NDArray[np.float64]

# Few draws: the tests plant effects that few draws show.
PLAN = Bootstrap(draws=300, seed=7)


class World(NamedTuple):
    """Rollouts of a default and several roles that differ along one direction per layer.

    The default sits at zero and the roles at distinct negative places on ``direction``. Questions
    shift all subjects alike, and every rollout has its own noise.
    """

    direction: FloatArray  # [layers, hidden], unit, toward the default
    default: FloatArray  # [n, layers, hidden]
    roles: FloatArray  # [roles, n, layers, hidden]
    questions: NDArray[np.int64]  # [n], the same for every subject

    @property
    def default_vector(self) -> FloatArray:
        """Mean over the default's rollouts: ``[layers, hidden]``."""
        return np.asarray(self.default.mean(axis=0))

    @property
    def role_vectors(self) -> FloatArray:
        """Mean over each role's rollouts: ``[roles, layers, hidden]``."""
        return np.asarray(self.roles.mean(axis=1))

    @property
    def rollouts(self) -> FloatArray:
        """Everybody's rollouts, the default's first: ``[n (roles + 1), layers, hidden]``."""
        return np.concatenate([self.default, *self.roles])

    @property
    def is_default(self) -> NDArray[np.bool_]:
        """``[n (roles + 1)]`` matching ``rollouts``."""
        return np.arange(len(self.rollouts)) < len(self.default)

    @property
    def all_questions(self) -> NDArray[np.int64]:
        """``[n (roles + 1)]`` matching ``rollouts``."""
        return np.tile(self.questions, len(self.roles) + 1)


def build_world(
    *,
    n_roles: int = 12,
    n_questions: int = 6,
    samples: int = 4,
    layers: int = 3,
    hidden: int = 32,
    spread: float = 8.0,
    seed: int = 0,
) -> World:
    """Build a world; ``spread`` is how far roles reach along the planted direction."""
    rng = np.random.default_rng(seed)
    direction = rng.standard_normal((layers, hidden))
    direction /= np.linalg.norm(direction, axis=-1, keepdims=True)
    questions = np.repeat(np.arange(n_questions), samples)
    places = -spread * (0.5 + np.arange(n_roles) / n_roles)
    centre = 20.0 * rng.standard_normal((layers, hidden))
    shifts = rng.standard_normal((n_questions, layers, hidden))[questions]

    def rollouts(place: float) -> FloatArray:
        noise = rng.standard_normal((len(questions), layers, hidden))
        return np.asarray(centre + shifts + noise + place * direction)

    default = rollouts(0.0)
    return World(direction, default, np.stack([rollouts(place) for place in places]), questions)
