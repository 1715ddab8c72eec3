"""Data of the page's persona map: roles and traits on principal components of either."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from personae.data import tables
from personae.data.data_frames import read_frame
from personae.data.table_values import DEFAULT
from personae.data.vector_stacks import stack
from personae.report.explorer_data import rounded
from personae.science.geometry import pca
from personae.science.projection import unit
from personae.science.steering_arms import VARIANT

Files = Mapping[str, Sequence[str]]
FloatArray = NDArray[np.float64]
Key = tuple[str, str]
"""Name and kind: ``fully``, ``somewhat``, ``default`` or ``trait``."""

_AXIS: Final = "axis"
_SCALING: Final = "centred"
_COMPONENTS: Final = 6
_LEAST_TRAITS: Final = 3
"""With fewer traits there is no trait space."""


class _Space(NamedTuple):
    """Coordinates of points on the components of a space, and the components' variance."""

    variance: list[float | None]
    at: dict[Key, list[float | None]]


def persona_map(files: Files, layer: int, descriptions: Mapping[str, str]) -> dict[str, Any]:
    """Return roles and traits on the first components of role space and of trait space.

    A role is its mean activation minus that of the roles; a trait vector is a difference of means
    already. In role space a trait lies where it would move the mean role.

    Parameters
    ----------
    layer
        The model's middle layer: the stream after that block.
    descriptions
        What each role and trait is, in a sentence.

    Returns
    -------
    dict
        ``layer``; ``variance`` (share of each component) by space, ``roles`` and, with three traits
        or more, ``traits``; and ``points``: name, kind (``fully``, ``somewhat``, ``default`` or
        ``trait``), ``at`` (coordinates by space), ``axis`` (``<v, u>``, positive toward the
        Assistant; of roles, minus the mean of the played ones) and ``about``.
    """
    here = [("layer", "==", layer)]
    axes = stack(tables.read(files["directions"][0], "directions", filters=here), "direction")
    axis = axes.select([_AXIS]).vectors[0].astype(np.float64)
    roles = _role_vectors(files, layer)
    played = [v for (_, kind), v in roles.items() if kind == "fully"]
    centre = np.mean(played or list(roles.values()), axis=0)
    vectors = {key: vector - centre for key, vector in roles.items()}
    traits = _trait_vectors(files, layer)
    spaces = {"roles": _role_space(files, layer, roles, traits)}
    if len(traits) >= _LEAST_TRAITS:
        spaces["traits"] = _trait_space(traits, vectors, axis)
    projected = {key: float(v @ unit(axis[0])) for key, v in {**vectors, **traits}.items()}
    points = [
        {
            "name": name,
            "kind": kind,
            "at": {space: s.at[name, kind] for space, s in spaces.items() if (name, kind) in s.at},
            "axis": rounded([projected[name, kind]])[0],
            "about": descriptions.get(name, ""),
        }
        for name, kind in [*vectors, *traits]
    ]
    return {
        "layer": layer,
        "variance": {space: found.variance for space, found in spaces.items()},
        "points": [point for point in points if point["at"]],
    }


def _role_vectors(files: Files, layer: int) -> dict[Key, FloatArray]:
    table = tables.read(files["role_vectors"][0], "role_vectors", filters=[("layer", "==", layer)])
    keys = zip(table["role"].to_pylist(), table["kind"].to_pylist(), strict=True)
    return dict(zip(keys, tables.to_matrix(table["vector"]).astype(np.float64), strict=True))


def _trait_vectors(files: Files, layer: int) -> dict[Key, FloatArray]:
    """Return the response-mean vectors of the study's traits and of the trait space."""
    found: dict[Key, FloatArray] = {}
    of_layer = [("layer", "==", layer), ("variant", "==", VARIANT)]
    for name in ("trait_vectors", "space_vectors"):
        for path in files.get(name, ()):
            table = tables.read(path, "trait_vectors", filters=of_layer)
            if table.num_rows:
                matrix = tables.to_matrix(table["vector"]).astype(np.float64)
                for trait, vector in zip(table["trait"].to_pylist(), matrix, strict=True):
                    found[trait, "trait"] = vector
    return found


def _role_space(
    files: Files, layer: int, roles: Mapping[Key, FloatArray], traits: Mapping[Key, FloatArray]
) -> _Space:
    """Read the coordinates of roles, and place the traits on the same components."""
    conditions = [("layer", "==", layer), ("scaling", "==", _SCALING)]
    found = read_frame(files["space_coordinates"], "space_coordinates", filters=conditions)
    parts = read_frame(files["space_components"], "space_components", filters=conditions)
    wide = found.pivot(index=["role", "kind"], columns="component", values="coordinate")
    wide = wide.sort_index(axis=1).iloc[:, :_COMPONENTS]
    at = {(str(role), str(kind)): row.to_numpy() for (role, kind), row in wide.iterrows()}
    fitted = {key: place for key, place in at.items() if key[0] != DEFAULT and key in roles}
    if fitted:
        basis = _basis(fitted, roles)
        at |= {key: basis @ vector for key, vector in traits.items()}
    shares = parts.sort_values("component").variance_ratio[:_COMPONENTS]
    return _Space(rounded(shares), {key: rounded(values) for key, values in at.items()})


def _basis(at: Mapping[Key, FloatArray], roles: Mapping[Key, FloatArray]) -> FloatArray:
    """Return the components ``[k, hidden]`` that gave roles these coordinates ``[k]``.

    Components are orthogonal and of unit length, so regression on the coordinates gives them back.
    """
    known = np.column_stack([np.stack(list(at.values())), np.ones(len(at))])
    fit = np.linalg.lstsq(known, np.stack([roles[key] for key in at]), rcond=None)
    return np.asarray(fit[0][:-1])


def _trait_space(
    traits: Mapping[Key, FloatArray], roles: Mapping[Key, FloatArray], axis: FloatArray
) -> _Space:
    """Fit components to the trait vectors, signed toward ``axis``, and place the roles on them."""
    matrix = np.stack(list(traits.values()))
    fit = pca(matrix[:, None], standardise=False, toward=axis, n_components=_COMPONENTS)
    basis = fit.components[0]
    places = {key: basis @ (vector - matrix.mean(axis=0)) for key, vector in traits.items()}
    places |= {key: basis @ vector for key, vector in roles.items()}
    return _Space(
        rounded(fit.explained[0][:_COMPONENTS]),
        {key: rounded(values) for key, values in places.items()},
    )
