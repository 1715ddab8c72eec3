"""The arms of a capping experiment: which direction, which band of layers, which floor.

An arm caps at every layer of its band with the floor calibrated for that layer. The uncapped arm
is part of every comparison and runs through the same code path, dtype and sampling settings.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from personae.api.requests import Intervention, Positions
from personae.base.errors import PersonaeError
from personae.data import tables
from personae.science.projection_tables import direction_stack

UNCAPPED: Final = "none"


class CappingArm(NamedTuple):
    """One setting of capping.

    Attributes
    ----------
    direction
        ``"axis"`` (toward the Assistant), ``"random<i>"``, or ``"none"`` for no capping.
    band
        ``"first-last"``, both included, 0-based; empty when uncapped.
    percentile
        Of the calibration pool, before a ceiling is turned into a floor; NaN when uncapped.
    """

    direction: str = UNCAPPED
    band: str = ""
    percentile: float = float("nan")

    @property
    def label(self) -> str:
        """Short name, unique among the arms of a study."""
        if self.direction == UNCAPPED:
            return UNCAPPED
        return f"{self.direction}-l{self.band}-p{self.percentile:g}"

    @property
    def layers(self) -> range:
        """Layers that are capped."""
        if self.direction == UNCAPPED:
            return range(0)
        first, last = self.band.split("-")
        return range(int(first), int(last) + 1)

    def columns(self) -> dict[str, Any]:
        """The columns that identify the arm in a table."""
        percentile = None if self.direction == UNCAPPED else self.percentile
        return {"direction": self.direction, "band": self.band, "percentile": percentile}


class Floors:
    """Calibrated floors of one pool and reading, looked up by direction, percentile and layer."""

    def __init__(self, table: pa.Table, *, pool: str, reading: str) -> None:
        self._floors: dict[tuple[str, float, int], float] = {
            (row["direction"], row["percentile"], row["layer"]): row["floor"]
            for row in table.to_pylist()
            if row["pool"] == pool and row["reading"] == reading
        }
        self._source = f"pool {pool!r}, reading {reading!r}"

    def interventions(self, arm: CappingArm, positions: Positions) -> tuple[Intervention, ...]:
        """Return one cap per layer of the arm's band; none when uncapped.

        Raises
        ------
        PersonaeError
            When a floor was not calibrated.
        """
        caps = []
        for layer in arm.layers:
            floor = self._floors.get((arm.direction, arm.percentile, layer))
            if floor is None:
                raise PersonaeError(
                    f"no floor for {arm.label!r} at layer {layer} ({self._source}); "
                    "add the percentile to capping.percentiles"
                )
            vector = vector_key(arm.direction, layer)
            caps.append(
                Intervention(op="cap", layer=layer, vector=vector, floor=floor, positions=positions)
            )
        return tuple(caps)


def vector_key(direction: str, layer: int) -> str:
    """Name of a direction's vector at a layer in a request."""
    return f"{direction}@{layer}"


def arm_vectors(directions: pa.Table, arms: Iterable[CappingArm]) -> dict[str, NDArray[np.float32]]:
    """Return the float32 vectors that the arms' interventions name."""
    families = direction_stack(directions)
    index = {name: i for i, name in enumerate(families.keys)}
    place = {layer: i for i, layer in enumerate(families.layers)}
    return {
        vector_key(arm.direction, layer): families.vectors[index[arm.direction], place[layer]]
        for arm in arms
        for layer in arm.layers
    }


class Caps(NamedTuple):
    """The caps of several arms.

    Attributes
    ----------
    interventions
        One cap per layer of an arm's band; none for the uncapped arm.
    vectors
        float32 ``[hidden]`` arrays by the names that the interventions use.
    """

    interventions: dict[CappingArm, tuple[Intervention, ...]]
    vectors: dict[str, NDArray[np.float32]]


def read_caps(
    arms: Sequence[CappingArm], directions: str, floors: str, settings: Mapping[str, Any]
) -> Caps:
    """Read the caps of arms from the files of directions and floors.

    Parameters
    ----------
    settings
        ``pool`` and ``reading`` of the floors, and the token ``positions`` that are capped.

    Raises
    ------
    PersonaeError
        When a floor was not calibrated.
    """
    calibrated = Floors(
        tables.read(floors, "floors"), pool=settings["pool"], reading=settings["reading"]
    )
    vectors = arm_vectors(tables.read(directions, "directions"), arms)
    positions = settings["positions"]
    return Caps({arm: calibrated.interventions(arm, positions) for arm in arms}, vectors)


def parse_arms(records: Iterable[Mapping[str, Any]]) -> list[CappingArm]:
    """Return the arms of a node's parameters, the uncapped one first."""
    return [CappingArm(), *(CappingArm(**record) for record in records)]
