"""Calibration of activation capping: floors on the Assistant Axis.

Capping is ``h <- h - u * min(<h, u> - floor, 0)`` with ``u`` the *unit* Assistant Axis, pointing
toward the default Assistant: projections below the floor are raised to exactly the floor, all else
is untouched. Every floor in this module, whatever its origin, is a floor on +axis in units of
``<h, u>``; arrays are ``[n, layers]`` projections of :func:`personae.science.projection.project`.

# ASSUME: floors are percentiles of response-mean projections, as the paper calibrates, and are
# applied to single tokens, whose projections scatter more widely. The same percentile therefore
# touches a larger share of tokens than of responses.
"""

from collections.abc import Iterator, Sequence
from itertools import product
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from personae.science.jackknife import LOGIT, jackknife_interval
from personae.science.projection import unit
from personae.science.resampling import Interval

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
        Rollouts of the trait space, both polarities; the traits that are steered (PV) are not in
        the paper's pool.
    default
        Default Assistant rollouts.
    questions
        Question of every rollout of the three, for an interval; ``None`` leaves it out.
    """

    roles: FloatArray
    traits: FloatArray
    default: FloatArray
    questions: tuple[NDArray[np.object_], NDArray[np.object_], NDArray[np.object_]] | None = None

    def pool(self, name: Pool, layer: int) -> FloatArray:
        """Projections ``[n]`` of a pool's rollouts at one layer, every rollout with equal weight.

        ``roles_and_traits`` is the paper's pool: all rollouts of roles, trait space and default
        Assistant, unfiltered (Qwen 909,599; Llama 908,400).

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
        rollouts = np.concatenate([member[:, layer] for member in members])
        if len(rollouts) == 0:
            raise ValueError(f"pool {name!r} holds no rollouts to calibrate a floor on")
        return rollouts

    def asked(self, name: Pool) -> tuple[NDArray[np.object_] | None, NDArray[np.object_] | None]:
        """Questions of a pool's rollouts, in their order, and those of the default's."""
        if self.questions is None:
            return None, None
        roles, traits, default = self.questions
        members = {
            "roles_and_traits": (roles, traits, default),
            "roles": (roles,),
            "default": (default,),
        }[name]
        return np.concatenate(members), default


class DefaultQuantile(NamedTuple):
    """Share of a pool below the default's mean, with the questions that its interval is over."""

    interval: Interval
    clusters: int


def default_quantile(
    pool: FloatArray,
    default: FloatArray,
    pool_questions: NDArray[np.object_] | None,
    default_questions: NDArray[np.object_] | None,
) -> DefaultQuantile:
    """Share of ``pool [n]`` below the mean of ``default [m]``, ties half.

    The interval is the jackknife on the logit scale, a question left out on both sides at once.
    """
    share = _share_below(np.sort(pool), float(default.mean()))
    if pool_questions is None or default_questions is None:
        return DefaultQuantile(Interval(share, np.nan, np.nan), 0)
    ordered, left_out = np.sort(pool), []
    every = np.unique(default_questions)
    for question in every:
        rest = default[default_questions != question]
        if not len(rest):
            continue
        own, mean = np.sort(pool[pool_questions == question]), float(rest.mean())
        n, below = len(ordered), len(ordered) * _share_below(ordered, mean)
        below -= len(own) * _share_below(own, mean)
        left_out.append(np.clip(below / (n - len(own)), 0.5 / n, 1 - 0.5 / n))
    return DefaultQuantile(jackknife_interval(share, left_out, LOGIT), len(every))


def _share_below(ordered: FloatArray, value: float) -> float:
    if not len(ordered):
        return 0.0
    sides = (np.searchsorted(ordered, value, side) for side in ("left", "right"))
    return float(sum(sides)) / 2.0 / len(ordered)


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
        Share of the pool below ``default_mean``, 0-1 (ties half), with an interval over questions.
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
    default_quantile_low: float
    default_quantile_high: float
    n_questions: int
    default_below: float
    roles_below: float


def calibrate_floor(projections: FloatArray, percentile: float, reading: Reading) -> FloatArray:
    """Floor on +axis at each layer from a pool's projections (AA, activation capping).

    Parameters
    ----------
    projections
        ``[n, ...]`` on +axis; trailing axes (layers) are treated one by one.
    percentile
        0-100.
    reading
        ``"ceiling"``, as the paper calibrates: the percentile is one of projections on -axis, the
        direction *away* from the Assistant, where it is a ceiling. That is a floor on +axis at
        ``100 - percentile``. ``"floor"``, a variant of ours: the percentile on +axis.

    Returns
    -------
    FloatArray
        ``[...]`` floors on +axis.

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
    layers = range(pools.default.shape[1])
    found: dict[tuple[Pool, Reading, float, int], FloorRow] = {}
    for name, layer in product(names, layers):
        for row in _rows_at(pools, name, layer, list(product(readings, percentiles))):
            found[name, row.reading, row.percentile, layer] = row
    return [found[key] for key in product(names, readings, percentiles, layers)]


def _rows_at(
    pools: Pools, name: Pool, layer: int, settings: Sequence[tuple[Reading, float]]
) -> Iterator[FloorRow]:
    """Rows of one pool at one layer, a reading and percentile each."""
    rollouts = pools.pool(name, layer)
    default, roles = pools.default[:, layer], pools.roles[:, layer]
    mean = default.mean()
    found = default_quantile(rollouts, default, *pools.asked(name))
    for reading, percentile in settings:
        floor = float(calibrate_floor(rollouts, percentile, reading))
        yield FloorRow(
            layer=layer,
            pool=name,
            reading=reading,
            percentile=percentile,
            floor=floor,
            orientation=ORIENTATION,
            n=len(rollouts),
            default_mean=float(mean),
            **found.interval.columns("default_quantile"),
            n_questions=found.clusters,
            default_below=float((default < floor).mean()),
            roles_below=float((roles < floor).mean()),
        )


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
