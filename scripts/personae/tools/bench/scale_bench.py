"""Measure every node of tables at the papers' size: ``python -m personae.tools.bench.scale_bench``.

Draws the tables of a model (`scale_tables`) within ``--gigabytes`` of scratch, runs the nodes' own
``main`` one by one in a process each, and prints CPU seconds, peak memory and bytes read, with the
growth from 25 roles to all. ``--only`` runs some of the nodes, on what an earlier run left.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from personae.base.errors import PersonaeError
from personae.data.table_values import DEFAULT
from personae.tools.bench.scale_node import NodeCost
from personae.tools.bench.scale_tables import (
    ScaleShape,
    draw_projections,
    draw_role,
    draw_trait_side,
    draw_vectors,
)
from personae.workflow.stages.registry import STAGES

SHAPES: Final = {
    "gemma2_27b": ScaleShape(46, 4608, 5, 240, 60),
    "llama33_70b": ScaleShape(80, 8192, 5, 240, 60),
    "tiny": ScaleShape(6, 16, 2, 6, 3),
}
"""Layers and widths of the papers' models with their rollouts; ``tiny`` is for tests."""

_DRAWN: Final = 2  # roles whose activations are drawn, beside the default
_PART: Final = 8  # roles of a part of the projections
_SPACE_PART: Final = 4
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
        for number in sorted({min(25, self.n_roles), min(100, self.n_roles), self.n_roles}):
            yield from self._axis_nodes(number)
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
            "middle_layer": 0,
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
            "directions": self.path("directions"),
            "kept": self.like(roles, "kept"),
            "middle_layer": self.middle,
        }
        kinds = [output.kind for output in STAGES["analyze_persona_space"].writes.values()]
        yield f"analyze_persona_space, {number} roles", "axis.analyze_persona_space", {
            **space,
            **shared,
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

    def _figure_nodes(self) -> Iterator[tuple[str, str, dict[str, Any]]]:
        """Figures of all roles."""
        label, at = f"{self.n_roles} roles", {"middle_layer": self.middle}

        def figure(name: str) -> dict[str, Any]:
            return {**at, "path_out": str(self.folder / f"{name}.svg")}

        yield f"plot_persona_space, {label}", "report.plot_persona_space", {
            **figure("persona_space"),
            "coordinates": self.path("space_coordinates"),
            "components": self.path("space_components"),
            "variance_threshold": 0.7,
        }  # fmt: skip
        yield f"plot_role_cosines, {label}", "report.plot_role_cosines", {
            **figure("role_cosines"), "table": self.path("cosines"),
        }  # fmt: skip
        yield f"plot_separation, {label}", "report.plot_separation", {
            **figure("separation"),
            "aucs": self.path("separation"),
            "projections": self._role_parts(self.n_roles),
        }  # fmt: skip


def run(module: str, arguments: dict[str, Any]) -> NodeCost:
    """Run a node in a process of its own.

    Raises
    ------
    PersonaeError
        With the last line that it said, when it fails.
    """
    done = subprocess.run(
        [sys.executable, "-m", "personae.tools.bench.scale_node"],
        input=json.dumps({"module": module, "arguments": arguments}),
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise PersonaeError(f"{module}: {done.stderr.strip().splitlines()[-1]}")
    return NodeCost(*json.loads(done.stdout.splitlines()[-1]))


def main(arguments: list[str]) -> None:
    """Draw, run, print; end with one line and status 1 where a node fails or room is short."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scratch", type=Path, default=Path("results/bench/scale"))
    parser.add_argument("--shape", choices=SHAPES, default="gemma2_27b")
    parser.add_argument("--layers", type=int, help="draw so many of the model's layers")
    parser.add_argument("--roles", type=int, default=275)
    parser.add_argument("--traits", type=int, default=240, help="traits of the trait space")
    parser.add_argument("--gigabytes", type=float, default=40.0, help="most scratch to use")
    parser.add_argument("--only", default="", help="run nodes whose line holds this; draw nothing")
    options = parser.parse_args(arguments)
    shape = SHAPES[options.shape]
    shape = shape._replace(layers=options.layers or shape.layers)
    study = ScaleStudy(options.scratch, shape, options.roles, options.traits)
    try:
        if study.gigabytes() > options.gigabytes:
            raise PersonaeError(
                f"{study.gigabytes():.0f} GB of scratch are needed, --gigabytes allows "
                f"{options.gigabytes:g}; raise it or lower --roles"
            )
        if not options.only:
            study.draw()
        print(f"{'node':45} {'CPU s':>8} {'GB':>6} {'GB read':>8}")
        for label, module, given in study.nodes():
            if options.only in label:
                cost = run(module, given)
                print(
                    f"{label:45} {cost.seconds:8.1f} {cost.memory / 1e9:6.2f} "
                    f"{cost.read / 1e9:8.2f}",
                    flush=True,
                )
    except PersonaeError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main(sys.argv[1:])
