"""A model's tables at the papers' size, drawn, and the nodes of persona space that read them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from personae.data.table_values import DEFAULT
from personae.tools.bench.scale_tables import (
    ScaleShape,
    draw_projections,
    draw_role,
    draw_trait_side,
    draw_vectors,
    rename,
)
from personae.workflow.stages.registry import STAGES

_DRAWN: Final = 2  # roles whose activations are drawn, beside the default
_PART: Final = 8  # roles of a part of the projections
_SPACE_PART: Final = 4
_TRAITS: Final = 20  # of the study's own, about as many as the library has
_AXIS: Final = {
    "variance_threshold": 0.7, "bootstrap": 1000, "permutations": 1000, "null_rollouts": 60,
}  # fmt: skip


class ScaleStudy:
    """The drawn tables of one model, and the nodes that run on them."""

    def __init__(self, folder: Path, shape: ScaleShape, roles: int, traits: int) -> None:
        self.folder, self.shape, self.n_roles, self.n_traits = folder, shape, roles, traits
        self.middle = shape.layers // 2
        folder.mkdir(parents=True, exist_ok=True)

    def path(self, name: str) -> str:
        """Return the path of a table in the scratch folder."""
        return str(self.folder / f"{name}.parquet")

    def gigabytes(self) -> float:
        """Return how much the drawn tables take at most."""
        rollouts = self.shape.prompts * (self.shape.extraction + self.shape.heldout)
        layer = 4 * self.shape.hidden * self.shape.layers
        return layer * ((_DRAWN + 3) * 1.6 * rollouts + 4 * self.n_roles) / 1e9

    def draw(self) -> None:
        """Draw what no node writes."""
        for i, role in enumerate([DEFAULT, *(f"drawn{n}" for n in range(_DRAWN))]):
            files = draw_role(self.folder, self.shape, i)
            self._name(role, files)
        for i, side in enumerate(("positive", "negative")):
            files = draw_trait_side(self.folder, self.shape, i, level=90.0 - 80.0 * i)
            self._name(side, files)
        for i, role in enumerate([DEFAULT, *self.names(self.n_roles)]):
            draw_vectors(self.folder / f"{role}-vectors.parquet", role, self.shape, i)
        roles, both = dict.fromkeys(self.names(_PART), "role"), ("extraction", "heldout")
        # A trait's two sides, as two subjects, have their own ids.
        traits = dict.fromkeys((f"trait{i}" for i in range(2 * _SPACE_PART)), "trait")
        for name, subjects, splits in (
            ("roles", roles, both),
            ("default", {**dict(list(roles.items())[1:]), DEFAULT: DEFAULT}, both),
            ("traits", traits, ("extraction",)),
        ):
            path = self.folder / f"projections-{name}.parquet"
            draw_projections(path, subjects, self.shape, splits)

    def _name(self, subject: str, files: dict[str, str]) -> None:
        for name, path in files.items():
            Path(path).replace(self.path(f"{subject}-{name}"))

    def names(self, number: int) -> list[str]:
        """Return names of roles."""
        return [f"role{i:03d}" for i in range(number)]

    def like(self, roles: list[str], table: str) -> dict[str, str]:
        """Map roles to the drawn roles' files of a table, in turn; the default has its own."""
        drawn = [self.path(f"drawn{i}-{table}") for i in range(_DRAWN)]
        found = {role: drawn[i % _DRAWN] for i, role in enumerate(roles)}
        return {**found, DEFAULT: self.path(f"{DEFAULT}-{table}")}

    def nodes(self) -> Iterator[tuple[str, str, dict[str, Any]]]:
        """Yield label, module and arguments of every node, in an order in which they can run."""
        yield from self._persona_nodes()
        for number in sorted({min(25, self.n_roles), self.n_roles}):
            yield from self._axis_nodes(number)
        yield from self._trait_nodes()
        yield from self._figure_nodes()

    def _persona_nodes(self) -> Iterator[tuple[str, str, dict[str, Any]]]:
        """One role, one part of the roles, one part of the trait space."""
        for role in (DEFAULT, *(f"drawn{i}" for i in range(_DRAWN))):
            yield f"compute_role_vectors, {role}", "roles.compute_role_vectors", {
                "role": role,
                **{name: self.path(f"{role}-{name}") for name in ("responses", "activations")},
                "scores": None if role == DEFAULT else self.path(f"{role}-scores"),
                "paths_out": {
                    "role_vectors": self.path(f"{role}-own"),
                    "activation_sums": self.path(f"{role}-sums"),
                    "kept_activations": self.path(f"{role}-kept"),
                },
                "keep": {"folds": 10, "sampled": 60, "layers": [self.middle - 1, self.middle]},
                "max_unscored": 1.0,
                "engine": None,
            }  # fmt: skip
        yield from [self._axis(min(25, self.n_roles))]
        members = self.names(_PART)
        yield f"project_role_responses, {_PART} roles", "roles.project_role_responses", {
            "roles": members,
            "responses": [self.like(members, "responses")[role] for role in members],
            "activations": [self.like(members, "activations")[role] for role in members],
            "directions": self.path("directions"),
            "path_out": self.path("written-projections"),
            "engine": None,
        }  # fmt: skip
        yield f"compute_space_vectors, {_SPACE_PART} traits", "traits.compute_space_vectors", {
            "traits": [f"trait{i}" for i in range(_SPACE_PART)],
            **{
                name: [self.path(f"{side}-{name}") for side in ("positive", "negative")]
                * _SPACE_PART
                for name in ("responses", "scores", "activations")
            },
            "directions": self.path("directions"),
            "path_vectors": self.path("space-vectors"),
            "path_projections": self.path("written-projections"),
            "path_sums": self.path("space-sums"),
            "middle_layer": self.middle,
            "effective": {
                "pairing": "rows", "min_trait": None, "min_coherence": None,
                "min_difference": 50, "min_kept": 10,
            },
            "max_unscored": 1.0,
            "seed": 0,
            "engine": None,
        }  # fmt: skip
        yield "compute_trait_vectors, 1 trait", "traits.compute_trait_vectors", {
            "trait": "trait0",
            **{
                name: [self.path(f"{side}-{name}") for side in ("positive", "negative")]
                for name in ("responses", "scores", "activations")
            },
            "spans": ["response_mean"],
            "path_vectors": self.path("trait-vectors"),
            "path_pairs": self.path("trait-pairs"),
            "effective": {"pairing": "rows", "min_trait": 50, "min_coherence": 50},
            "max_unscored": 1.0,
            "seed": 0,
            "engine": None,
        }  # fmt: skip

    def _axis(self, number: int) -> tuple[str, str, dict[str, Any]]:
        return f"compute_axis, {number} roles", "axis.compute_axis", {
            "vectors": [self.path(f"{role}-vectors") for role in [*self.names(number), DEFAULT]],
            "default": self.path(f"{DEFAULT}-sums"),
            "least": {"fully": 10, "somewhat": 10},
            "path_directions": self.path("directions"),
            "path_role_vectors": self.path("role_vectors"),
            "random_directions": 1,
            "seed": 0,
        }  # fmt: skip

    def _axis_nodes(self, number: int) -> Iterator[tuple[str, str, dict[str, Any]]]:
        """Nodes that grow with the number of roles."""
        yield self._axis(number)
        roles = self.names(number)
        shared = {"axis": _AXIS, "seed": 0}
        space = {
            "role_vectors": self.path("role_vectors"),
            "kept": self.like(roles, "kept"),
            "middle_layer": self.middle,
        }
        kinds = [output.kind for output in STAGES["analyze_persona_space"].writes.values()]
        yield f"analyze_persona_space, {number} roles", "axis.analyze_persona_space", {
            **space,
            **shared,
            "directions": self.path("directions"),
            "sums": self.like(roles, "sums"),
            "paths_out": {kind: self.path(kind) for kind in kinds},
        }  # fmt: skip
        yield f"measure_heldout_roles, {number} roles", "axis.measure_heldout_roles", {
            **space, **shared, "path_out": self.path("heldout_roles"),
        }  # fmt: skip
        yield f"measure_separation, {number} roles", "axis.measure_separation", {
            **shared, "projections": self._role_parts(number), "path_out": self.path("separation"),
        }  # fmt: skip
        parts = round(self.n_traits * number / self.n_roles / _SPACE_PART)
        traits = [self.path("projections-traits")] * max(1, parts)
        yield f"calibrate_floors, {number} roles", "capping.calibrate_floors", {
            "projections": [*self._role_parts(number), *traits],
            "path_out": self.path("floors"),
            "pools": ["roles_and_traits", "roles", "default"],
            "readings": ["ceiling", "floor"],
            "percentiles": [1, 25, 50, 75],
        }  # fmt: skip

    def _role_parts(self, number: int) -> list[str]:
        """Return the parts of the projections; the default is in one of them."""
        others = max(0, round((number + 1) / _PART) - 1)
        return [self.path("projections-default"), *[self.path("projections-roles")] * others]

    def _trait_nodes(self) -> Iterator[tuple[str, str, dict[str, Any]]]:
        """Nodes that compare traits, with the vectors of all roles."""
        shared = {"directions": self.path("directions"), "middle_layer": self.middle, "seed": 0}
        vectors = [self.path(f"trait-vectors{i}") for i in range(_TRAITS)]
        sums = [self.path(f"space-sums{i}") for i in range(-(-self.n_traits // _SPACE_PART))]
        self._draw_traits(vectors, sums)
        yield f"compare_trait_vectors, {_TRAITS} traits", "traits.compare_trait_vectors", {
            "vectors": vectors,
            "directions": self.path("directions"),
            "path_out": self.path("trait_cosines"),
        }  # fmt: skip
        yield f"measure_trait_geometry, {_TRAITS} traits", "traits.measure_trait_geometry", {
            **shared,
            "vectors": vectors,
            "roles": self.path("role_vectors"),
            "paths_out": {
                name: self.path(name) for name in ("trait_pair_cosines", "trait_positions")
            },
        }  # fmt: skip
        kinds = [output.kind for output in STAGES["compare_trait_space"].writes.values()]
        yield f"compare_trait_space, {self.n_traits} traits", "traits.compare_trait_space", {
            **shared,
            "sums": sums,
            "role_vectors": self.path("role_vectors"),
            "paths_out": {kind: self.path(kind) for kind in kinds},
            "axis": _AXIS,
        }  # fmt: skip

    def _draw_traits(self, vectors: list[str], sums: list[str]) -> None:
        """Give the other traits what the nodes of one trait and of one part have written."""
        if not Path(self.path("trait-vectors")).is_file():
            return
        for i, path in enumerate(vectors):
            rename(self.path("trait-vectors"), path, {"trait0": f"trait{i}"})
        for i, path in enumerate(sums):
            named = {f"trait{n}": f"trait{i * _SPACE_PART + n}" for n in range(_SPACE_PART)}
            rename(self.path("space-sums"), path, named)

    def _figure_nodes(self) -> Iterator[tuple[str, str, dict[str, Any]]]:
        """Figures of all roles, and of the trait space."""
        roles, traits = f"{self.n_roles} roles", f"{self.n_traits} traits"
        figures: list[tuple[str, str, dict[str, Any]]] = [
            ("persona_space", roles, {
                "coordinates": self.path("space_coordinates"),
                "components": self.path("space_components"),
                "middle_layer": self.middle,
                "variance_threshold": 0.7,
            }),
            ("axis_layers", roles, self._plots("space_layers")),
            ("role_cosines", roles, self._plots("cosines")),
            ("role_loadings", roles, {"table": self.path("role_loadings")}),
            ("heldout_roles", roles, {"table": self.path("heldout_roles")}),
            ("separation", roles, {
                "aucs": self.path("separation"),
                "projections": self._role_parts(self.n_roles),
                "middle_layer": self.middle,
            }),
            ("trait_geometry", f"{_TRAITS} traits", {
                "cosines": self.path("trait_cosines"),
                "pairs": self.path("trait_pair_cosines"),
                "positions": self.path("trait_positions"),
                "middle_layer": self.middle,
            }),
            ("trait_positions", f"{_TRAITS} traits", {
                "pairs": self.path("trait_pair_cosines"),
                "positions": self.path("trait_positions"),
            }),
            ("trait_space", traits, {
                name: self.path(f"trait_space_{name}")
                for name in ("cosines", "components", "plane")
            }),
        ]  # fmt: skip
        for name, label, given in figures:
            path = str(self.folder / f"{name}.svg")
            yield f"plot_{name}, {label}", f"report.plot_{name}", {**given, "path_out": path}

    def _plots(self, table: str) -> dict[str, Any]:
        return {"table": self.path(table), "middle_layer": self.middle}
