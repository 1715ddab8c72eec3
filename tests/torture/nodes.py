"""The nodes of a finished study, what each of them asks, and what came of killing them."""

from __future__ import annotations

import json
import random
import subprocess
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, get_args

from personae.data import tables

from ..signals import reset_signals
from ..workflow.conftest import Project
from .judge import JudgingEndpoint
from .processes import VICTIMS, Victim

Asks = Literal["model", "local", "judge", "training", "nothing"]
"""What a node asks: the model server, a model of its own, judges, one that it trains, nothing."""

_ASKING: dict[str, Asks] = {
    "run_model_node": "model",
    "run_local_model_node": "local",
    "run_judge_node": "judge",
    "run_training_node": "training",
}


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

    @property
    def keeps_rows(self) -> bool:
        """Whether rows of the model are stored as they come."""
        return self.asks in ("model", "local")


@dataclass
class Kill:
    """One kill and what came of it.

    Attributes
    ----------
    rule, asks, victim
        The node, what it asks, and which process was ended.
    rows_kept, answers_kept
        Rows of the model and answers of the judge from before the kill, used by the plain rerun.
    asked_again
        Answers that were there and were asked for once more.
    replaced
        Whether the node got a new server within its attempt.
    failures, differing, lost
        A run that failed or needs a manual step, tables that are not those of a quiet run, rows or
        answers that were not used.
    """

    rule: str
    asks: Asks
    victim: Victim
    rows_kept: int = 0
    answers_kept: int = 0
    asked_again: int = 0
    replaced: bool = False
    failures: list[str] = field(default_factory=list)
    differing: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)

    @property
    def wrong(self) -> list[str]:
        """Everything that must not be."""
        return [*self.failures, *self.differing, *self.lost]


def table_of(kills: Sequence[Kill]) -> list[str]:
    """Return the lines of a table in Markdown: one row per kind of node."""
    lines = [
        "| node | asks | kills | went on | identical | rows used again | answers used again |",
        "|---|---|---|---|---|---|---|",
    ]
    by_rule = defaultdict(list)
    for kill in kills:
        by_rule[kill.rule].append(kill)
    for rule, found in by_rule.items():
        counts = (
            len(found),
            sum(not kill.failures for kill in found),
            sum(not kill.differing for kill in found),
            sum(kill.rows_kept for kill in found),
            sum(kill.answers_kept for kill in found),
        )
        lines.append("| " + " | ".join([rule, found[0].asks, *map(str, counts)]) + " |")
    return lines


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


def nodes_of(root: Path, results: str) -> list[Node]:
    """Return the nodes that made the study's tables, those that ask the model first."""
    found: dict[tuple[str, ...], Node] = {}
    for path in sorted((root / results).rglob("*.parquet")):
        facts = tables.provenance(path)
        outputs, rule = tuple(json.loads(facts["outputs"])), facts["rule"]
        found[outputs] = Node(rule, _asks(root, rule), outputs)
    order = get_args(Asks)
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
    if rule == "write_library_card":  # its model is the embedder
        return "nothing"
    return next((asks for name, asks in _ASKING.items() if f"{name}(" in text), "nothing")
