"""The presets of a study: its vectors, its floors, and the settings that it chose."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from personae.api.requests import Intervention
from personae.base.errors import PersonaeError
from personae.data import tables
from personae.data.data_frames import read_frame
from personae.data.effect_tables import usable_coefficient
from personae.data.vector_stacks import stack
from personae.inference.engine_errors import UnknownModelError
from personae.inference.server.presets import PLAIN, CapOf, Presets, Reading
from personae.science.capping_arms import CappingArm, Floors, vector_key
from personae.science.steering_arms import VARIANT

AXIS: Final = "axis"
_PUBLISHED_PERCENTILE: Final = 25.0
# ASSUME: coherence (0-100) below which a coefficient is not offered, as studies have it by default.
_COHERENCE_FLOOR: Final = 50.0

Vectors = dict[str, NDArray[np.float32]]


class Cap(NamedTuple):
    """The cap that a study offers first, and where its floors come from."""

    band: str
    percentile: float
    pool: str
    reading: str

    @property
    def setting(self) -> str:
        """Its name among the presets."""
        return f"cap{self.band}p{self.percentile:g}"


def study_presets(
    folder: Path,
    middle_layer: int,
    default: str = "",
    more: Mapping[str, NDArray[np.float32]] | None = None,
) -> Presets:
    """Return the presets of one model's results in a study.

    Parameters
    ----------
    folder
        ``results/STUDY/MODEL``.
    middle_layer
        Layer at which answers are projected on the axis.
    default
        Setting of the model's bare name; ``"cap"`` is the cap that the study offers first.
    more
        Further vectors, float32 ``[hidden]`` by ``NAME@LAYER``.

    Raises
    ------
    PersonaeError
        If the study has no such results, or not the default.
    """
    if not folder.is_dir():
        raise PersonaeError(f"{folder}: no results; run the study first, or correct its name")
    caps, steering = list(_caps(folder)), list(_steering(folder))
    vectors = {**_trait_vectors(folder), **_directions(folder), **(more or {})}
    if default == "cap":
        if not caps:
            raise PersonaeError(f"{folder}/capping: no trade-off; run the study's capping first")
        default = caps[0].setting
    try:
        return Presets(
            vectors,
            [PLAIN, *(cap.setting for cap in caps), *(setting for setting, _, _ in steering)],
            default,
            _readings(folder, vectors, caps, steering, middle_layer),
            _cap_of(folder, caps),
        )
    except UnknownModelError as error:
        raise PersonaeError(str(error)) from None


def _caps(folder: Path) -> Iterator[Cap]:
    """Yield the caps that the study evaluated, the first band nearest to the paper's first."""
    path = folder / "capping/tradeoff.parquet"
    if not path.exists():
        return
    found = read_frame([str(path)], "capping_tradeoff")
    arms = found[(found.direction == AXIS) & found.percentile.notna()]
    arms = arms[["band", "percentile", "pool", "reading"]].drop_duplicates()
    order = (arms.percentile - _PUBLISHED_PERCENTILE).abs().sort_values(kind="stable").index
    for row in arms.loc[order].itertuples():
        yield Cap(str(row.band), float(row.percentile), str(row.pool), str(row.reading))


def _cap_of(folder: Path, caps: list[Cap]) -> CapOf:
    held: list[Floors] = []

    def cap_of(band: str, percentile: float) -> tuple[Intervention, ...]:
        if not caps:
            raise UnknownModelError(f"no cap {band}p{percentile:g}: the study has not capped")
        if not held:
            table = tables.read(folder / "capping/floors.parquet", "floors")
            held.append(Floors(table, pool=caps[0].pool, reading=caps[0].reading))
        try:
            return held[0].interventions(CappingArm(AXIS, band, percentile), "all")
        except PersonaeError as error:
            raise UnknownModelError(str(error)) from None

    return cap_of


def _steering(folder: Path) -> Iterator[tuple[str, str, int]]:
    """Yield setting, trait and layer of every trait whose steering keeps answers coherent."""
    for path in sorted(folder.glob("steering/*/alpha_sweep/effects.parquet")):
        effects = read_frame([str(path)], "steering_effects")
        own = effects[effects.judge == effects.judge.iloc[0]] if len(effects) else effects
        coefficient = usable_coefficient(own, _COHERENCE_FLOOR)
        if coefficient is not None:
            trait, layer = str(own.trait.iloc[0]), int(own.layer.iloc[0])
            yield f"{trait}@{layer}x{coefficient:g}", trait, layer


def _directions(folder: Path) -> Vectors:
    path = folder / "axis/directions.parquet"
    return _keyed(tables.read(path, "directions"), "direction") if path.exists() else {}


def _trait_vectors(folder: Path) -> Vectors:
    """Return ``TRAIT@LAYER`` of every trait that the study extracted."""
    found: Vectors = {}
    for path in sorted(folder.glob("traits/*/vectors.parquet")):
        table = tables.read(path, "trait_vectors", filters=[("variant", "==", VARIANT)])
        found |= _keyed(table, "trait")
    return found


def _keyed(table: pa.Table, column: str) -> Vectors:
    held = stack(table, column)
    return {
        vector_key(key, layer): held.vectors[i, j]
        for i, key in enumerate(held.keys)
        for j, layer in enumerate(held.layers)
    }


def _readings(
    folder: Path,
    vectors: Vectors,
    caps: list[Cap],
    steering: list[tuple[str, str, int]],
    middle_layer: int,
) -> dict[str, Reading]:
    """Return the axis at the middle layer with the cap's floor, and traits at their layers."""
    layers = {AXIS: middle_layer, **{trait: layer for _, trait, layer in steering}}
    found = {}
    for name, layer in layers.items():
        vector = vectors.get(vector_key(name, layer))
        if vector is None or not (norm := float(np.linalg.norm(vector.astype(np.float64)))):
            continue
        floor = _floor(folder, caps[0], layer) if name == AXIS and caps else None
        found[name] = Reading(layer, (vector / norm).astype(np.float32), floor)
    return found


def _floor(folder: Path, cap: Cap, layer: int) -> float | None:
    conditions = [
        ("direction", "==", AXIS), ("pool", "==", cap.pool), ("reading", "==", cap.reading),
        ("percentile", "==", cap.percentile), ("layer", "==", layer),
    ]  # fmt: skip
    rows = tables.read(folder / "capping/floors.parquet", "floors", ["floor"], conditions)
    return float(rows["floor"][0].as_py()) if rows.num_rows else None
