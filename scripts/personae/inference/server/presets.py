"""Interventions under model names: ``smollm2_135m+poetic@22x2`` is that model, steered.

A name is the model's, then ``+`` and a setting, any number of times:

* ``plain``: no intervention;
* ``NAME@LAYERxCOEFFICIENT``: add a vector at a layer, 0-based, after the block;
* ``capFIRST-LASTpPERCENTILE``: cap the Assistant Axis at every layer of a band.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from personae.api.requests import Intervention
from personae.api.wire_encoding import pack_vector
from personae.inference.engine_errors import RequestError, UnknownModelError

PLAIN: Final = "plain"
_STEER: Final = re.compile(r"(?P<name>.+)@(?P<layer>\d{1,4})x(?P<coefficient>-?\d{1,4}(?:\.\d+)?)")
_CAP: Final = re.compile(r"cap(?P<band>\d{1,4}-\d{1,4})p(?P<percentile>\d{1,3}(?:\.\d+)?)")

CapOf = Callable[[str, float], Sequence[Intervention]]
"""Returns the caps of a band and a percentile."""


class Reading(NamedTuple):
    """A direction on which answers are projected.

    Attributes
    ----------
    layer
        0-based; the residual stream after that block.
    unit
        float32 ``[hidden]`` of length 1, toward the Assistant or the trait.
    threshold
        The floor of the study's cap at this layer; None where there is none.
    """

    layer: int
    unit: NDArray[np.float32]
    threshold: float | None = None


def _no_caps(band: str, percentile: float) -> Sequence[Intervention]:
    raise UnknownModelError(f"no cap {band}p{percentile:g}: the server was started without a study")


class Presets:
    """The settings that a server knows by name.

    Parameters
    ----------
    vectors
        float32 ``[hidden]`` by ``NAME@LAYER``; requests may name them without sending them.
    offered
        Settings that the list of models shows.
    default
        Setting of the model's bare name.
    readings
        Directions on which answers are projected, by name.
    cap_of
        Returns the caps of a band and percentile; raises `UnknownModelError`.
    """

    def __init__(
        self,
        vectors: Mapping[str, NDArray[np.float32]] | None = None,
        offered: Sequence[str] = (),
        default: str = "",
        readings: Mapping[str, Reading] | None = None,
        cap_of: CapOf = _no_caps,
    ) -> None:
        self._vectors, self._cap_of = dict(vectors or {}), cap_of
        self.offered, self.default = tuple(offered), default
        self.readings = dict(readings or {})
        self.interventions(default)

    def interventions(self, settings: str) -> list[Intervention]:
        """Return the interventions of settings joined by ``+``; none for ``""``.

        Raises
        ------
        UnknownModelError
            If a setting is not of the study, naming it.
        """
        return [one for part in settings.split("+") if part for one in self._of(part)]

    def _of(self, setting: str) -> Sequence[Intervention]:
        if setting == PLAIN:
            return []
        if found := _CAP.fullmatch(setting):
            return self._cap_of(found["band"], float(found["percentile"]))
        found = _STEER.fullmatch(setting)
        key = f"{found['name']}@{int(found['layer'])}" if found else ""
        if not found or key not in self._vectors:
            raise UnknownModelError(
                f"no setting {setting!r:.80}; write NAME@LAYERxCOEFFICIENT, "
                f"capFIRST-LASTpPERCENTILE or {PLAIN} (GET /v1/models lists the study's choices)"
            )
        return [
            Intervention(
                op="add",
                layer=int(found["layer"]),
                vector=key,
                coefficient=float(found["coefficient"]),
                positions="response",
            )
        ]

    def packed(
        self, interventions: Sequence[Intervention], sent: Mapping[str, str]
    ) -> dict[str, str]:
        """Return the vectors that a request sent, and those of this server that it names.

        Raises
        ------
        RequestError
            If a vector is neither sent nor known.
        """
        names = {one.vector for one in interventions} - set(sent)
        if odd := sorted(names - set(self._vectors)):
            known = sorted(sent)
            raise RequestError(f"no vector {odd[0]!r}, only {known} and those of the study")
        return {**sent, **{name: pack_vector(self._vectors[name]) for name in sorted(names)}}
