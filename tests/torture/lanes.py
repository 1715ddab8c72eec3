"""Kills of single nodes in two copies of one finished study, beside each other."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

from ..workflow.conftest import Project
from .judge import JudgingEndpoint
from .node_kills import kill_node
from .nodes import Bench, Kill, Node
from .processes import Victim
from .study import RESULTS, TortureStudy

Round = tuple[int, Node, Victim]
"""Number, node and what is killed in it."""


def kill_in_lanes(
    study: TortureStudy, endpoint: JudgingEndpoint, drawn: Sequence[Round], seed: int
) -> list[tuple[str, Kill | None]]:
    """Kill nodes, and return what each round was and what came of it.

    A round keeps one core busy most of the time. Nodes that ask the judge are all in the study
    itself, since the endpoint counts what it is asked.
    """
    copy = Project(study.project.root.with_name(f"{study.project.root.name}-copy"))
    shutil.rmtree(copy.root, ignore_errors=True)
    shutil.copytree(study.project.root, copy.root, symlinks=True)
    benches = [
        Bench(project, study.arguments, RESULTS.as_posix(), judge)
        for project, judge in ((study.project, endpoint), (copy, None))
    ]
    lanes = _lanes(drawn)
    with ThreadPoolExecutor(len(lanes)) as pool:
        done = pool.map(lambda bench, lane: list(_killed(bench, lane, seed)), benches, lanes)
        found = [found for lane in done for found in lane]
    shutil.rmtree(copy.root)
    return found


def _lanes(drawn: Sequence[Round]) -> tuple[list[Round], list[Round]]:
    """Divide rounds in halves, those with a judge in the first."""
    judged = [one for one in drawn if one[1].asks == "judge"]
    others = [one for one in drawn if one[1].asks != "judge"]
    rest = max(0, len(drawn) // 2 - len(judged))
    return judged + others[:rest], others[rest:]


def _killed(bench: Bench, lane: Sequence[Round], seed: int) -> Iterator[tuple[str, Kill | None]]:
    for number, node, victim in lane:
        name = f"{number}: {node.rule} {node.outputs[0]} (kill {victim})"
        kill = kill_node(bench, node, victim, seed * 1000 + number)
        print(f"  {name}: {_outcome(kill)}", flush=True)
        for lines in (kill.failures, kill.differing, kill.lost) if kill else ():
            lines[:] = [f"{name}: {line}" for line in lines]
        yield name, kill


def _outcome(kill: Kill | None) -> str:
    """Return one line about a kill."""
    if kill is None:
        return "too late"
    used = f"{kill.rows_kept} rows and {kill.answers_kept} answers used again"
    return "; ".join(kill.wrong) or f"passed, {used}"
