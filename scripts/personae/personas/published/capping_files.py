"""Read a published capping configuration as floors on +axis.

The configuration holds ``vectors`` (name to ``layer`` and ``vector``) and ``experiments`` (``id``
and ``interventions`` of ``vector`` and ``cap``). Published files point away from the Assistant: a
cap is a ceiling there, which is a floor of the opposite sign on the reversed vector, and a
percentile in an experiment's name is one along the vector of the file (the reading ``ceiling``).
In a file that points toward the Assistant a cap is a floor (the reading ``floor``). An experiment
that states its own ``reading`` and ``percentile``, as our exports do, is taken at its word.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple, get_args

import numpy as np

from personae.base.errors import PersonaeError
from personae.data.model_table import ModelRow
from personae.personas.published.published_source import PublishedSource
from personae.personas.published.safe_loading import files_of, load_checked, matrix
from personae.science.capping_floors import OrientedFloor, Reading, orient_floor

_PERCENTILE: Final = re.compile(r"-p(0?\.\d+)$")


class PublishedCap(NamedTuple):
    """One cap of a published experiment, as a floor on +axis.

    Attributes
    ----------
    experiment
        Name of the experiment.
    percentile
        Stated by the experiment or in its name, 0 to 100; NaN where there is none.
    layer
        0-based; the residual stream after the block.
    direction
        ``[hidden]`` float64, unit length, toward the Assistant.
    floor
        In units of ``<h, direction>``.
    reading
        ``"ceiling"``: the percentile is one of projections along -``direction``, as in published
        files; ``"floor"``: along +``direction``.
    """

    experiment: str
    percentile: float
    layer: int
    direction: np.ndarray
    floor: float
    reading: Reading = "ceiling"


def read_caps(source: PublishedSource, model: ModelRow, base: Path) -> list[PublishedCap]:
    """Return the caps of all experiments in the files of a capping configuration.

    Raises
    ------
    PersonaeError
        If a value is missing, does not fit the model or is not a number, or an experiment caps one
        layer twice; names file and location.
    """
    caps: list[PublishedCap] = []
    taken: set[tuple[str, int]] = set()
    for path in files_of(source, base):
        for place, cap in _caps_of(load_checked(path, source), str(path), source, model):
            if (cap.experiment, cap.layer) in taken:
                message = f"caps layer {cap.layer} of {cap.experiment!r} again; keep one cap"
                raise PersonaeError(f"{place}: {message}")
            taken.add((cap.experiment, cap.layer))
            caps.append(cap)
    if not caps:
        raise PersonaeError(
            f"{source.path}: no experiment with a cap; correct published.kind or the path"
        )
    return caps


def _caps_of(
    content: Any, where: str, source: PublishedSource, model: ModelRow
) -> Iterator[tuple[str, PublishedCap]]:
    vectors = _get(content, "vectors", where)
    for index, experiment in enumerate(_list(content, "experiments", where)):
        at = f"{where}: experiments[{index}]"
        name = _get(experiment, "id", at)
        if not isinstance(name, str) or not name:
            raise PersonaeError(f"{at}.id: must be a name, not {name!r:.60}")
        reading, percentile = _calibration(experiment, name, at, source)
        for number, each in enumerate(_list(experiment, "interventions", at)):
            place = f"{at}.interventions[{number}]"
            if not isinstance(each, Mapping):
                raise PersonaeError(f"{place}: must be a record of keys, not {each!r:.60}")
            # An experiment may steer as well; only its caps are read.
            if "cap" in each:
                vector = _get(vectors, _get(each, "vector", place), f"{where}: vectors")
                cap = _number(each["cap"], f"{place}.cap")
                spot = f"{where}: vectors[{each['vector']!r}]"
                layer, oriented = _oriented(vector, cap, spot, source, model)
                yield place, PublishedCap(name, percentile, layer, *oriented, reading)


def _calibration(
    experiment: Mapping[str, Any], name: str, where: str, source: PublishedSource
) -> tuple[Reading, float]:
    """Return how an experiment's caps were calibrated: reading and percentile."""
    reading = experiment.get("reading", "ceiling" if source.orientation == "away" else "floor")
    if reading not in get_args(Reading):
        raise PersonaeError(f"{where}.reading: must be floor or ceiling, not {reading!r:.60}")
    found = _PERCENTILE.search(name)
    percentile = 100 * float(found[1]) if found else math.nan
    if "percentile" in experiment:
        percentile = _number(experiment["percentile"], f"{where}.percentile")
    return reading, percentile


def _oriented(
    vector: Any, threshold: float, where: str, source: PublishedSource, model: ModelRow
) -> tuple[int, OrientedFloor]:
    """Return the layer (0-based, after the block) of a cap, and the floor that it amounts to."""
    numbered = _number(_get(vector, "layer", where), f"{where}.layer")
    layer = int(numbered) - int(source.layers == "hidden_states")
    values = matrix(_get(vector, "vector", where), f"{where}.vector", row=True)[0]
    fits = numbered == int(numbered) and 0 <= layer < model.n_layers
    if not fits or len(values) != model.hidden_size:
        raise PersonaeError(
            f"{where}: layer {numbered:g} and {len(values)} numbers do not fit {source.model}, "
            f"which has {model.n_layers} layers of {model.hidden_size}; correct model or layers"
        )
    if not values.any():
        raise PersonaeError(
            f"{where}.vector: is zero and has no direction; download the file again"
        )
    away = source.orientation == "away"
    return layer, orient_floor(
        values.astype(np.float64), threshold, "away_from_assistant" if away else "toward_assistant"
    )


def _get(content: Any, key: object, where: str) -> Any:
    known = isinstance(content, Mapping) and isinstance(key, str | int) and key in content
    if not known:
        raise PersonaeError(
            f"{where}: the key {key!r:.60} is missing; correct published.kind or the file"
        )
    return content[key]


def _list(content: Any, key: str, where: str) -> list[Any]:
    found = _get(content, key, where)
    if not isinstance(found, list | tuple):
        raise PersonaeError(f"{where}: {key}: must be a list, not {type(found).__name__}")
    return list(found)


def _number(value: Any, where: str) -> float:
    """Convert a number or a one-element tensor to float."""
    if hasattr(value, "detach") and value.numel() == 1:
        value = value.detach().item()
    usable = isinstance(value, int | float) and not isinstance(value, bool)
    if not usable or not math.isfinite(value):
        raise PersonaeError(f"{where}: must be a finite number, not {value!r:.60}")
    return float(value)
