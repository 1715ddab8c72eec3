"""Persona space of one model as tables: components, coordinates, alignment with the axis.

The PCA is over the role vectors of both kinds, "fully" and "somewhat", as separate rows; the axis
is made of the fully-role vectors alone (AA, persona space). Layer ``l`` is the residual stream
after block ``l``; the axis points toward the default Assistant and components are signed toward it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from personae.data import tables
from personae.data.table_values import DEFAULT
from personae.data.vector_stacks import stack
from personae.science.geometry import PCA, cosine_matrix, pca
from personae.science.resampling import ratio
from personae.science.vectors import FULLY, SOMEWHAT

SCALINGS: Final = ("centred", "z_scored")
_KEPT_COMPONENTS: Final = 10


class PersonaRow(NamedTuple):
    """The role vector of one row of the PCA."""

    role: str
    kind: str


@dataclass(frozen=True)
class PersonaSpace:
    """Role vectors of one model with the default Assistant's vector and the axis.

    Attributes
    ----------
    layers
        The ``L`` layers, ascending.
    rows
        ``n`` role vectors, those of the kind "fully" first.
    vectors
        ``[n, L, hidden]`` float32, mean activations.
    default
        ``[L, hidden]`` float32, the default Assistant's mean activation.
    axis
        ``[L, hidden]`` float32, the Assistant Axis, toward the default Assistant.
    """

    layers: Sequence[int]
    rows: Sequence[PersonaRow]
    vectors: NDArray[np.float32]
    default: NDArray[np.float32]
    axis: NDArray[np.float32]

    def at(self, layer: int) -> PersonaSpace:
        """Return the same space at one layer."""
        place = self.layers.index(layer)
        here = slice(place, place + 1)
        return PersonaSpace(
            [layer], self.rows, self.vectors[:, here], self.default[here], self.axis[here]
        )

    @property
    def fully(self) -> NDArray[np.bool_]:
        """``[n]`` True for fully-role vectors, of which the axis is made."""
        return np.asarray([row.kind == FULLY for row in self.rows])

    @cached_property
    def fits(self) -> dict[str, PCA]:
        """PCA per scaling, over the rows of both kinds."""
        return {
            scaling: pca(self.vectors, standardise=scaling == "z_scored", toward=self.axis)
            for scaling in SCALINGS
        }

    def component_table(self) -> pa.Table:
        """Share of variance of every component. Columns of ``space_components``."""
        parts = []
        for scaling, fit in self.fits.items():
            n_layers, n_components = fit.explained.shape
            parts.append(
                pa.table(
                    {
                        "layer": np.repeat(self.layers, n_components),
                        "scaling": [scaling] * fit.explained.size,
                        "component": np.tile(np.arange(n_components), n_layers),
                        "variance_ratio": fit.explained.reshape(-1),
                    }
                )
            )
        return tables.assemble(parts, "space_components")

    def coordinate_table(self) -> pa.Table:
        """Coordinates of every row, and of the default, on the leading components.

        Columns of ``space_coordinates``; coordinates are relative to the mean of the rows.
        """
        parts = []
        named = [*self.rows, PersonaRow(DEFAULT, DEFAULT)]
        for scaling, fit in self.fits.items():
            placed = fit.transform(self.default[np.newaxis])
            coordinates = np.concatenate([fit.coordinates, placed])[..., :_KEPT_COMPONENTS]
            n, n_layers, k = coordinates.shape
            parts.append(
                pa.table(
                    {
                        "layer": np.tile(np.repeat(self.layers, k), n),
                        "scaling": [scaling] * coordinates.size,
                        "role": np.repeat([row.role for row in named], n_layers * k),
                        "kind": np.repeat([row.kind for row in named], n_layers * k),
                        "component": np.tile(np.arange(k), n * n_layers),
                        "coordinate": coordinates.reshape(-1),
                    }
                )
            )
        return tables.assemble(parts, "space_coordinates")

    def loading_table(self, layer: int) -> pa.Table:
        """Loading of every role vector on every component, at one layer.

        Columns of ``role_loadings``: the cosine of the vector, minus the mean of all rows, with the
        component, in the space of the scaling.
        """
        here, parts = self.at(layer), []
        for scaling, fit in here.fits.items():
            centred = (here.vectors[:, 0] - fit.mean[0]) / fit.scale[0]
            lengths = np.linalg.norm(centred, axis=1, keepdims=True)
            n, k = fit.coordinates[:, 0].shape
            parts.append(
                pa.table(
                    {
                        "layer": [layer] * (n * k),
                        "scaling": [scaling] * (n * k),
                        "component": np.tile(np.arange(k), n),
                        "variance_ratio": np.tile(fit.explained[0], n),
                        "role": np.repeat([row.role for row in here.rows], k),
                        "kind": np.repeat([row.kind for row in here.rows], k),
                        "loading": ratio(fit.coordinates[:, 0], lengths).reshape(-1),
                    }
                )
            )
        return tables.assemble(parts, "role_loadings")

    def cosine_table(self, layer: int) -> pa.Table:
        """Cosines between the fully-role vectors minus their mean, and the axis, at one layer."""
        here = self.at(layer)
        vectors = here.vectors[self.fully].astype(np.float64)
        family = np.concatenate([vectors - vectors.mean(axis=0), here.axis[np.newaxis]])
        names = [*(row.role for row in self.rows if row.kind == FULLY), "assistant_axis"]
        cosines = cosine_matrix(family, family)[0]
        n = len(names)
        table = pa.table(
            {
                "layer": [layer] * n * n,
                "left": np.repeat(names, n),
                "right": np.tile(names, n),
                "cosine": cosines.reshape(-1),
            }
        )
        return tables.assemble([table], "cosines")


def load_space(role_vectors: str, directions: str, layer: int) -> PersonaSpace:
    """Read the role vectors of both kinds, the default's vector and the axis at one layer.

    Raises
    ------
    ValueError
        When the axis or the default's vector lacks the layer.
    """
    at_layer = [("layer", "==", layer)]
    vectors = tables.read(role_vectors, "role_vectors", filters=at_layer)
    kinds = {
        kind: stack(vectors.filter(pc.equal(vectors["kind"], kind)), "role")
        for kind in (FULLY, SOMEWHAT, DEFAULT)
    }
    held = [(kind, kinds[kind]) for kind in (FULLY, SOMEWHAT) if kinds[kind].keys]
    known = tables.read(directions, "directions", filters=at_layer)
    axis = stack(known, "direction").select(["axis"])
    return PersonaSpace(
        axis.layers,
        [PersonaRow(role, kind) for kind, found in held for role in found.keys],
        np.concatenate([found.vectors for _, found in held]),
        kinds[DEFAULT].vectors[0],
        axis.vectors[0],
    )
