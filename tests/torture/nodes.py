"""The nodes of a finished study, what each of them asks, and what came of killing them."""

from __future__ import annotations

import json
import random
import subprocess
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from personae.data import tables

from ..signals import reset_signals
from ..workflow.conftest import Project
from .judge import JudgingEndpoint
from .processes import VICTIMS, Victim

Asks = Literal["model", "judge", "nothing"]


@dataclass(frozen=True)
class Node:
    """A node of a study, by its outputs relative to the project."""

    rule: str
    asks: Asks
    outputs: tuple[str, ...]

    @property
    def victims(self) -> tuple[Victim, ...]:
        """What can be killed while it runs: only some nodes use a model server."""
        return tuple(v for v in VICTIMS if self.asks == "model" or v != "server")


@dataclass
class Found:
    """What the rounds showed."""

    hit: Counter[str] = field(default_factory=Counter)
    victims: Counter[str] = field(default_factory=Counter)
    missed: list[str] = field(default_factory=list)  # nodes that had ended before
    replaced: int = 0  # servers
    rows_kept: Counter[str] = field(default_factory=Counter)
    answers_kept: Counter[str] = field(default_factory=Counter)
    asked_again: int = 0
    failures: list[str] = field(default_factory=list)
    differing: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)

    @property
    def wrong(self) -> list[str]:
        """Everything that must not be, and the kills that came too late."""
        late = [f"too late for {rule}" for rule in self.missed]
        return [*self.failures, *self.differing, *self.lost, *late]


@dataclass(frozen=True)
class Bench:
    """A finished study, how its runs are started, and the judge that answers its nodes, if any."""

    project: Project
    arguments: tuple[str, ...]
    results: str
    judge: JudgingEndpoint | None = None

    def start(self, target: str, log: Path) -> subprocess.Popen[bytes]:
        """Start a run of one target in its own process group."""
        command, environment = self.project.command(*self.arguments, "--", target)
        with log.open("wb") as out:
            return subprocess.Popen(
                command,
                cwd=self.project.root,
                env=environment,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=reset_signals,
            )


def nodes_of(bench: Bench) -> list[Node]:
    """Return the nodes that made the study's tables, those that ask the model first."""
    found: dict[tuple[str, ...], Node] = {}
    for path in sorted((bench.project.root / bench.results).rglob("*.parquet")):
        facts = tables.provenance(path)
        outputs, rule = tuple(json.loads(facts["outputs"])), facts["rule"]
        found[outputs] = Node(rule, _asks(bench.project.root, rule), outputs)
    order = ("model", "judge", "nothing")
    return sorted(found.values(), key=lambda node: (order.index(node.asks), node.rule))


def rounds(nodes: list[Node], n: int, seed: int) -> list[tuple[Node, Victim]]:
    """Draw ``n`` nodes, of every rule before one of a rule again, and what is killed in each."""
    draw, by_rule = random.Random(seed), defaultdict(list)
    for node in nodes:
        by_rule[node.rule].append(node)
    drawn, seen = [], Counter[str]()
    for number in range(n):
        node = draw.choice(list(by_rule.values())[number % len(by_rule)])
        victim = node.victims[(seen[node.asks] + seed) % len(node.victims)]
        seen[node.asks] += 1
        drawn.append((node, victim))
    return drawn


def _asks(root: Path, rule: str) -> Asks:
    (script,) = (root / "scripts").glob(f"*/{rule}.py")
    text = script.read_text(encoding="utf-8")
    if "run_model_node(" in text:
        return "model"
    return "judge" if "run_judge_node(" in text else "nothing"
