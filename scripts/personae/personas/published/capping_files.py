"""Read a published capping configuration as floors on +axis.

The configuration holds ``vectors`` (name to ``layer`` and ``vector``) and ``experiments`` (``id``
and ``interventions`` of ``vector`` and ``cap``). A cap along a vector that points away from the
Assistant is a ceiling, hence a floor along the negated vector; a cap along a vector that points
toward the Assistant is a floor.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np

from personae.base.errors import PersonaeError
from personae.data.model_table import ModelRow
from personae.personas.published.published_source import PublishedSource
from personae.personas.published.safe_loading import check_stated, files_of, load, matrix
from personae.science.capping_floors import orient_floor

_PERCENTILE: Final = re.compile(r"-p(0?\.\d+)$")


class Cap(NamedTuple):
    """One cap of a published experiment, as a floor on +axis.

    Attributes
    ----------
    experiment
        Name of the experiment.
    percentile
        Percentile in the experiment's name, 0 to 100; NaN if it has none.
    layer
        0-based; the residual stream after the block.
    direction
        ``[hidden]`` float64, unit length, toward the Assistant.
    floor
        In units of ``<h, direction>``.
    """

    experiment: str
    percentile: float
    layer: int
    direction: np.ndarray
    floor: float


def read_caps(source: PublishedSource, model: ModelRow, base: Path) -> list[Cap]:
    """Return the caps of all experiments in the files of a capping configuration.

    Raises
    ------
    PersonaeError
        If a value is missing, does not fit the model or is not a number, or an experiment caps one
        layer twice; names file and location.
    """
    caps: list[Cap] = []
    taken: set[tuple[str, int]] = set()
    for path in files_of(source, base):
        check_stated(path, source)
        for place, cap in _caps_of(load(path), str(path), source, model):
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
) -> Iterator[tuple[str, Cap]]:
    vectors = _get(content, "vectors", where)
    for index, experiment in enumerate(_list(content, "experiments", where)):
        at = f"{where}: experiments[{index}]"
        name = _get(experiment, "id", at)
        if not isinstance(name, str) or not name:
            raise PersonaeError(f"{at}.id: must be a name, not {name!r:.60}")
        for number, each in enumerate(_list(experiment, "interventions", at)):
            place = f"{at}.interventions[{number}]"
            if not isinstance(each, Mapping):
                raise PersonaeError(f"{place}: must be a record of keys, not {each!r:.60}")
            # An experiment may steer as well; only its caps are read.
            if "cap" in each:
                vector = _get(vectors, _get(each, "vector", place), f"{where}: vectors")
                cap = _number(each["cap"], f"{place}.cap")
                spot = f"{where}: vectors[{each['vector']!r}]"
                yield place, _cap(name, vector, cap, spot, source, model)


def _cap(
    name: str, vector: Any, threshold: float, where: str, source: PublishedSource, model: ModelRow
) -> Cap:
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
    oriented = orient_floor(
        values.astype(np.float64), threshold, "away_from_assistant" if away else "toward_assistant"
    )
    found = _PERCENTILE.search(name)
    percentile = 100 * float(found[1]) if found else float("nan")
    return Cap(name, percentile, layer, oriented.direction, float(oriented.floor))


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
