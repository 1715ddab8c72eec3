"""Persona space of one model as tables: components, coordinates, alignment with the axis.

Layer ``l`` is the residual stream after block ``l``; the axis points toward the default Assistant
and components are signed toward it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from personae.data import tables
from personae.data.table_values import DEFAULT
from personae.data.vector_stacks import Stack, stack
from personae.science.alignment import (
    QuestionCells,
    axis_component_cosines,
    bootstrap_roles,
    placebo_cosines,
    shuffled_axis_null,
)
from personae.science.geometry import (
    PCA,
    components_for_variance,
    cosine_matrix,
    outlier_dimensions,
    participation_ratio,
    pca,
)
from personae.science.question_spread import nowhere_but, question_intervals
from personae.science.resampling import Bootstrap, permutation_p
from personae.science.rollout_stacks import Rollouts, axis_reliability

FloatArray = NDArray[np.float64]

SCALINGS: Final = ("centred", "z_scored")
_KEPT_COMPONENTS: Final = 10
_OUTLIER_TIMES_MEDIAN: Final = 50.0


@dataclass(frozen=True)
class PersonaSpace:
    """Role vectors ``roles``, the default's vector and the axis, over the same layers."""

    roles: Stack
    default: NDArray[np.float32]
    axis: NDArray[np.float32]

    @cached_property
    def fits(self) -> dict[str, PCA]:
        """PCA per scaling, all layers."""
        return {
            scaling: pca(self.roles.vectors, standardise=scaling == "z_scored", toward=self.axis)
            for scaling in SCALINGS
        }

    def layer_table(
        self,
        rollouts: Rollouts,
        cells: Mapping[str, QuestionCells],
        *,
        middle_layer: int,
        variance: float,
        permutations: int,
        plan: Bootstrap,
    ) -> pa.Table:
        """One row per layer and scaling: dimension of the space and alignment of the axis.

        ``cells`` are the sums by question at the middle layer, the only one with an interval over
        questions.
        """
        outliers = outlier_dimensions(self.roles.vectors, times_median=_OUTLIER_TIMES_MEDIAN)
        shared = {
            "outlier_dimensions": np.bincount(
                [o.layer for o in outliers], minlength=len(self.roles.layers)
            ),
            "split_half": axis_reliability(rollouts, splits=permutations, seed=plan.seed),
        }
        parts = []
        for scaling, fit in self.fits.items():
            dimension = {
                "participation_ratio": participation_ratio(fit.variance),
                "components_needed": components_for_variance(fit.explained, variance),
            }
            observed = axis_component_cosines(fit, self.axis)[:, 0]
            columns = {
                **shared,
                **dimension,
                "axis_pc1_cosine": observed,
                **self._intervals(fit, cells, middle_layer, plan),
                **self._nulls(fit, observed, rollouts, permutations, plan.seed),
            }
            parts.append(self._by_layer(scaling, columns))
        return tables.assemble(parts, "space_layers")

    def _intervals(
        self, fit: PCA, cells: Mapping[str, QuestionCells], layer: int, plan: Bootstrap
    ) -> dict[str, FloatArray | pa.Array]:
        """Bounds of |cos(axis, PC1)| over roles, and at ``layer`` over questions."""
        roles = bootstrap_roles(self.default / fit.scale, self.roles.vectors / fit.scale, plan)
        at = self.roles.layers.index(layer)
        questions = question_intervals(cells, fit.scale[at], plan)
        return {
            "axis_pc1_low": roles.low,
            "axis_pc1_high": roles.high,
            "questions_low": nowhere_but(self.roles.layers, layer, float(questions.low[0])),
            "questions_high": nowhere_but(self.roles.layers, layer, float(questions.high[0])),
        }

    def _nulls(
        self, fit: PCA, observed: FloatArray, rollouts: Rollouts, permutations: int, seed: int
    ) -> dict[str, FloatArray]:
        """What |cos(axis, PC1)| is held against: shuffled labels, and every role as the default."""
        pc1 = fit.components[:, 0]
        null = shuffled_axis_null(
            np.asarray(rollouts.activations / fit.scale, dtype=np.float32),
            rollouts.is_default,
            pc1,
            permutations=permutations,
            seed=seed,
            strata=rollouts.questions,
        )
        placebo = placebo_cosines(self.default / fit.scale, self.roles.vectors / fit.scale, pc1)
        return {
            "null_mean": null.mean(axis=0),
            "null_p95": np.quantile(null, 0.95, axis=0),
            "p_value": permutation_p(observed, null),
            "placebo_share": (placebo >= observed).mean(axis=0),
        }

    def _by_layer(self, scaling: str, columns: Mapping[str, object]) -> pa.Table:
        n = len(self.roles.layers)
        return pa.table(
            {
                "layer": self.roles.layers,
                "scaling": [scaling] * n,
                "n_roles": [len(self.roles.keys)] * n,
                **columns,
            }
        )

    def component_table(self) -> pa.Table:
        """Share of variance of every component."""
        parts = []
        for scaling, fit in self.fits.items():
            n_layers, n_components = fit.explained.shape
            parts.append(
                pa.table(
                    {
                        "layer": np.repeat(self.roles.layers, n_components),
                        "scaling": [scaling] * fit.explained.size,
                        "component": np.tile(np.arange(n_components), n_layers),
                        "variance_ratio": fit.explained.reshape(-1),
                    }
                )
            )
        return tables.assemble(parts, "space_components")

    def coordinate_table(self) -> pa.Table:
        """Coordinates of every role, and of the default, on the leading components."""
        parts = []
        names = [*self.roles.keys, DEFAULT]
        for scaling, fit in self.fits.items():
            placed = fit.transform(self.default[np.newaxis])
            coordinates = np.concatenate([fit.coordinates, placed])[..., :_KEPT_COMPONENTS]
            n, n_layers, k = coordinates.shape
            parts.append(
                pa.table(
                    {
                        "layer": np.tile(np.repeat(self.roles.layers, k), n),
                        "scaling": [scaling] * coordinates.size,
                        "role": np.repeat(names, n_layers * k),
                        "component": np.tile(np.arange(k), n * n_layers),
                        "coordinate": coordinates.reshape(-1),
                    }
                )
            )
        return tables.assemble(parts, "space_coordinates")

    def cosine_table(self, layer: int) -> pa.Table:
        """Cosines between the role vectors minus their mean, and the axis, at one layer."""
        at = self.roles.layers.index(layer)
        vectors = self.roles.vectors[:, at : at + 1].astype(np.float64)
        centred = vectors - vectors.mean(axis=0)
        family = np.concatenate([centred, self.axis[np.newaxis, at : at + 1]])
        names = [*self.roles.keys, "assistant_axis"]
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


def load_space(role_vectors: pa.Table, directions: pa.Table) -> PersonaSpace:
    """Gather the fully-role vectors, the default's vector and the axis from their tables."""

    def of_kind(kind: str) -> Stack:
        return stack(role_vectors.filter(pc.equal(role_vectors["kind"], kind)), "role")

    axis = stack(directions, "direction").select(["axis"])
    return PersonaSpace(of_kind("fully"), of_kind("default").vectors[0], axis.vectors[0])
