"""Calibration of activation capping: floors on the Assistant Axis.

Capping is ``h <- h - u * min(<h, u> - floor, 0)`` with ``u`` the *unit* Assistant Axis, pointing
toward the default Assistant: projections below the floor are raised to exactly the floor, all else
is untouched. Every floor in this module, whatever its origin, is a floor on +axis in units of
``<h, u>``; arrays are ``[n, layers]`` projections of :func:`personae.science.projection.project`.

# ASSUME: floors are percentiles of response-mean projections, as the paper calibrates, and are
# applied to single tokens, whose projections scatter more widely. The same percentile therefore
# touches a larger share of tokens than of responses.
"""

from collections.abc import Sequence
from itertools import product
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from personae.science.projection import unit

FloatArray = NDArray[np.float64]
Pool = Literal["roles_and_traits", "roles", "default"]
Reading = Literal["floor", "ceiling"]
Orientation = Literal["toward_assistant", "away_from_assistant"]

ORIENTATION = "floor on +axis (toward the Assistant)"


class Pools(NamedTuple):
    """Projections ``[n, layers]`` of the rollouts that floors are calibrated on.

    Attributes
    ----------
    roles
        Role rollouts, without the default Assistant.
    traits
        Trait rollouts of both polarities.
    default
        Default Assistant rollouts.
    """

    roles: FloatArray
    traits: FloatArray
    default: FloatArray

    def pool(self, name: Pool) -> FloatArray:
        """Rollouts of a pool, every rollout with equal weight.

        # ASSUME: ``roles_and_traits`` holds the default rollouts too. The paper's n = 912,000 is
        # 240 x 2,400 trait rollouts and 280 x 1,200 others, more than its 275 roles make up.

        Raises
        ------
        ValueError
            When the pool is empty.
        """
        members = {
            "roles_and_traits": (self.roles, self.traits, self.default),
            "roles": (self.roles,),
            "default": (self.default,),
        }[name]
        rollouts = np.concatenate(members)
        if len(rollouts) == 0:
            raise ValueError(f"pool {name!r} holds no rollouts to calibrate a floor on")
        return rollouts


class FloorRow(NamedTuple):
    """One calibrated floor, as a row of the table.

    Attributes
    ----------
    layer, pool, reading, percentile
        What was calibrated; the percentile is the published number *before* a ceiling is turned.
    floor
        Floor on +axis, units of ``<h, u>``.
    orientation
        Always :data:`ORIENTATION`; stated in every row.
    n
        Rollouts in the pool.
    default_mean
        Mean projection of the default Assistant at this layer.
    default_quantile
        Share of the pool below ``default_mean``, 0-1 (ties half).
    default_below, roles_below
        Share of default, and of role, rollouts below the floor: those that capping would move.
    """

    layer: int
    pool: Pool
    reading: Reading
    percentile: float
    floor: float
    orientation: str
    n: int
    default_mean: float
    default_quantile: float
    default_below: float
    roles_below: float


def calibrate_floor(projections: FloatArray, percentile: float, reading: Reading) -> FloatArray:
    """Floor on +axis at each layer from a pool's projections (AA, activation capping).

    Parameters
    ----------
    projections
        ``[n, layers]`` on +axis.
    percentile
        0-100.
    reading
        ``"floor"``, the paper's formula: the percentile of projections on +axis is the floor.
        ``"ceiling"``, the reference code: the vectors point *away* from the Assistant and the
        percentile of projections on -axis is a ceiling there, which is a floor on +axis at
        ``100 - percentile``.

    Returns
    -------
    FloatArray
        ``[layers]``.

    Raises
    ------
    ValueError
        When the percentile is outside 0-100.
    """
    if not 0.0 <= percentile <= 100.0:
        raise ValueError(f"percentile {percentile} is outside 0-100")
    if reading == "floor":
        return np.asarray(np.percentile(projections, percentile, axis=0), dtype=np.float64)
    return -np.asarray(np.percentile(-projections, percentile, axis=0), dtype=np.float64)


def floor_table(
    pools: Pools,
    *,
    names: Sequence[Pool],
    percentiles: Sequence[float],
    readings: Sequence[Reading],
) -> list[FloorRow]:
    """Calibrate every pool x reading x percentile at every layer, in that order of nesting."""
    rows: list[FloorRow] = []
    for name in names:
        rollouts = pools.pool(name)
        for reading, percentile in product(readings, percentiles):
            rows.extend(_floor_rows(pools, rollouts, name, reading, percentile))
    return rows


def _floor_rows(
    pools: Pools, rollouts: FloatArray, name: Pool, reading: Reading, percentile: float
) -> list[FloorRow]:
    """Rows of one setting, a layer each; ``rollouts`` are those of the pool ``name``."""
    floors = calibrate_floor(rollouts, percentile, reading)
    mean = pools.default.mean(axis=0)
    quantile = ((rollouts < mean).mean(axis=0) + (rollouts <= mean).mean(axis=0)) / 2.0
    default_below, roles_below = (
        (group < floors).mean(axis=0) for group in (pools.default, pools.roles)
    )
    return [
        FloorRow(
            layer=layer,
            pool=name,
            reading=reading,
            percentile=percentile,
            floor=float(floors[layer]),
            orientation=ORIENTATION,
            n=len(rollouts),
            default_mean=float(mean[layer]),
            default_quantile=float(quantile[layer]),
            default_below=float(default_below[layer]),
            roles_below=float(roles_below[layer]),
        )
        for layer in range(len(floors))
    ]


class OrientedFloor(NamedTuple):
    """Unit direction ``[hidden]`` toward the Assistant with its floor in units of ``<h, u>``."""

    direction: FloatArray
    floor: float


def orient_floor(vector: FloatArray, threshold: float, orientation: Orientation) -> OrientedFloor:
    """Turn a published vector and threshold into a floor on +axis.

    Parameters
    ----------
    vector
        ``[hidden]``, of any length.
    threshold
        In units of ``<h, vector / |vector|>``: a floor if ``vector`` points toward the Assistant,
        a ceiling if it points away.
    orientation
        Which way ``vector`` points.

    Raises
    ------
    ValueError
        When the vector is zero.
    """
    direction = unit(vector)
    if orientation == "toward_assistant":
        return OrientedFloor(direction, threshold)
    # Clamping <h, v> from above at t clamps <h, -v> from below at -t.
    return OrientedFloor(-direction, -threshold)
