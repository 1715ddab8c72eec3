"""The arms of the harm experiment: caps and their controls, and steering (AA, capping evaluation).

Every arm answers the same items through the same code path. Besides caps along the axis there are
caps along random directions, caps with the wrong sign, which hold the model away from the
Assistant, caps of a single layer, and steering toward the Assistant.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from personae.api.requests import Intervention, Positions
from personae.base.errors import PersonaeError
from personae.science.capping_arms import CappingArm, Floors, arm_vectors, vector_key
from personae.science.projection import unit
from personae.science.projection_tables import direction_stack

NO_PERSONA: Final = "no_persona"
UNCAPPED: Final = "none"
AXIS: Final = "axis"
WRONG_SIGN: Final = "wrong_sign"
SINGLE_LAYER: Final = "single_layer"
STEERING: Final = "steering"

_AWAY: Final = "away"
_MIRROR: Final = {"ceiling": "floor", "floor": "ceiling"}


class HarmArm(NamedTuple):
    """One arm.

    Attributes
    ----------
    contrast
        ``no_persona`` (the bare request), ``none`` (persona, no intervention), ``axis``,
        ``random<i>``, ``wrong_sign``, ``single_layer``, ``steering`` or ``steering_random<i>``.
    band, percentile, reading
        Of a cap, as in `CappingArm`; empty or null otherwise.
    strength
        Of steering, in persona gaps, positive toward the Assistant; null otherwise.
    """

    contrast: str
    band: str = ""
    percentile: float | None = None
    reading: str = ""
    strength: float | None = None

    @property
    def label(self) -> str:
        """Short name, unique among the arms of a study."""
        parts = [self.contrast]
        if self.percentile is not None:
            parts += [f"l{self.band}", f"p{self.percentile:g}", self.reading]
        if self.strength is not None:
            parts.append(f"{self.strength:g}")
        return "-".join(parts)

    @property
    def cap(self) -> CappingArm:
        """The cap that the arm is or mirrors."""
        direction = self.contrast if self.contrast.startswith("random") else AXIS
        return CappingArm(direction, self.band, float(self.percentile or 0.0))


def parse_harm_arms(records: Iterable[Mapping[str, Any]]) -> list[HarmArm]:
    """Return the arms of a node's parameters, those without intervention first."""
    return [HarmArm(NO_PERSONA), HarmArm(UNCAPPED), *(HarmArm(**record) for record in records)]


class ArmInterventions:
    """Interventions of every arm, and the vectors that they name.

    Parameters
    ----------
    directions, floors
        Tables of those names.
    pool
        On whose rollouts the floors were calibrated.
    positions
        Tokens that are capped or steered.
    layer
        Layer of the steering.
    """

    def __init__(
        self,
        directions: pa.Table,
        floors: pa.Table,
        *,
        pool: str,
        positions: Positions,
        layer: int,
    ) -> None:
        self._directions, self._positions, self._layer = directions, positions, layer
        self._floors = {reading: Floors(floors, pool=pool, reading=reading) for reading in _MIRROR}

    def of(self, arm: HarmArm) -> tuple[Intervention, ...]:
        """Return the interventions of an arm; none without intervention."""
        if arm.contrast in (NO_PERSONA, UNCAPPED):
            return ()
        if arm.strength is not None:
            return (self._steering(arm),)
        if arm.contrast == WRONG_SIGN:
            caps = self._floors[_MIRROR[arm.reading]].interventions(arm.cap, self._positions)
            return tuple(_mirrored(cap) for cap in caps)
        return self._floors[arm.reading].interventions(arm.cap, self._positions)

    def _steering(self, arm: HarmArm) -> Intervention:
        for row in self._directions.select(["direction", "layer", "norm"]).to_pylist():
            if (row["direction"], row["layer"]) == (AXIS, self._layer):
                return Intervention(
                    op="add",
                    layer=self._layer,
                    vector=f"unit-{vector_key(_steered(arm), self._layer)}",
                    coefficient=float(row["norm"]) * float(arm.strength or 0.0),
                    positions=self._positions,
                )
        raise PersonaeError(f"no axis at layer {self._layer}: the middle layer has no direction")

    def vectors(self, arms: Sequence[HarmArm]) -> dict[str, NDArray[np.float32]]:
        """Return the float32 vectors that the arms' interventions name."""
        capped = [arm for arm in arms if arm.percentile is not None]
        found = arm_vectors(self._directions, [arm.cap for arm in capped])
        along = arm_vectors(
            self._directions, [arm.cap for arm in capped if arm.contrast == WRONG_SIGN]
        )
        found |= {f"{_AWAY}-{key}": np.asarray(-vector) for key, vector in along.items()}
        families = direction_stack(self._directions)
        for name in dict.fromkeys(_steered(arm) for arm in arms if arm.strength is not None):
            vector = families.vectors[families.keys.index(name), families.layers.index(self._layer)]
            found[f"unit-{vector_key(name, self._layer)}"] = unit(vector).astype(np.float32)
        return found


def _steered(arm: HarmArm) -> str:
    return arm.contrast.removeprefix(f"{STEERING}_") if "_" in arm.contrast else AXIS


def _mirrored(cap: Intervention) -> Intervention:
    """Turn a floor on +axis into a floor on -axis at the same projection.

    With the floor of the *other* reading this is the cap that the reading itself gives for the
    direction away from the Assistant: the p-th percentile along the axis as a ceiling.
    """
    return cap.model_copy(update={"vector": f"{_AWAY}-{cap.vector}", "floor": -cap.floor})
