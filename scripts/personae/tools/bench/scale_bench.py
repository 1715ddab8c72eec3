"""Measure every node of tables at the papers' size: ``python -m personae.tools.bench.scale_bench``.

In two parts. ``space`` draws the tables of a model (`scale_study`) within ``--gigabytes`` of
scratch and runs the nodes' own ``main`` one by one, a process each, for 25 roles and for all.
``experiments`` enlarges a finished small study to the rows of the papers' (`scale_experiments`)
and has Snakemake run the nodes of its experiments, figures, scorecard and report. Both print CPU
seconds, peak memory and bytes read, with the nodes that are over the limits marked.
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
from personae.tools.bench.scale_experiments import experiment_nodes
from personae.tools.bench.scale_study import ScaleStudy
from personae.tools.bench.scale_tables import ScaleShape
from personae.workflow.node_usage import NodeUsage

SHAPES: Final = {
    "gemma2_27b": ScaleShape(46, 4608, 5, 240, 60),
    "llama33_70b": ScaleShape(80, 8192, 5, 240, 60),
    "tiny": ScaleShape(6, 16, 2, 6, 3),
}
"""Layers and widths of the papers' models with their rollouts; ``tiny`` is for tests."""

MOST_SECONDS: Final = 30 * 60.0
MOST_MEMORY: Final = 4e9


def run(module: str, arguments: dict[str, Any]) -> NodeUsage:
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
    used = NodeUsage.of_log(done.stdout)
    if done.returncode or used is None:
        raise PersonaeError(f"{module}: {done.stderr.strip().splitlines()[-1]}")
    return used


def space_nodes(options: argparse.Namespace) -> Iterator[tuple[str, NodeUsage]]:
    """Draw the tables of a model, unless some nodes are repeated, and run its nodes."""
    shape = SHAPES[options.shape]
    shape = shape._replace(layers=options.layers or shape.layers)
    study = ScaleStudy(options.scratch, shape, options.roles, options.traits)
    if study.gigabytes() > options.gigabytes:
        raise PersonaeError(
            f"{study.gigabytes():.0f} GB of scratch are needed, --gigabytes allows "
            f"{options.gigabytes:g}; raise it or lower --roles"
        )
    if not options.only:
        study.draw()
    for label, module, given in study.nodes():
        if options.only in label:
            yield label, run(module, given)


_PARTS: Final = {"space": space_nodes, "experiments": experiment_nodes}


def print_usage(label: str, used: NodeUsage) -> None:
    """Print the line of a node, with a mark where it is over a limit."""
    over = "  over the limit" if used.seconds > MOST_SECONDS or used.memory > MOST_MEMORY else ""
    memory, read = used.memory / 1e9, used.read / 1e9
    print(f"{label:45} {used.seconds:8.1f} {memory:6.2f} {read:8.2f}{over}", flush=True)


def main(arguments: list[str]) -> None:
    """Draw, run, print; end with one line and status 1 where a node fails or room is short."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--part", choices=("all", *_PARTS), default="all")
    parser.add_argument("--scratch", type=Path, default=Path("results/bench/scale"))
    parser.add_argument("--shape", choices=SHAPES, default="gemma2_27b")
    parser.add_argument("--layers", type=int, help="space: draw so many of the model's layers")
    parser.add_argument("--roles", type=int, default=275)
    parser.add_argument("--traits", type=int, default=240, help="traits of the trait space")
    parser.add_argument("--gigabytes", type=float, default=40.0, help="most scratch to use")
    parser.add_argument("--only", default="", help="space: nodes whose line holds this, no drawing")
    parser.add_argument("--study", type=Path, default=Path("config/demo.yaml"))
    parser.add_argument("--results", type=Path, help="experiments: of the finished small study")
    options = parser.parse_args(arguments)
    try:
        print(f"{'node':45} {'CPU s':>8} {'GB':>6} {'GB read':>8}")
        for part, nodes in _PARTS.items():
            if options.part in ("all", part):
                for label, used in nodes(options):
                    print_usage(label, used)
    except PersonaeError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main(sys.argv[1:])
