"""Time and memory of each stage, from Snakemake's benchmark files."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from pathlib import Path
from typing import Final, NamedTuple

from personae.workflow.stages.registry import titles

_ELSEWHERE: Final = "Other"


class Timing(NamedTuple):
    """Time and memory of all nodes of one stage.

    Attributes
    ----------
    arm, title, rule
        Titles of the arm and of the stage, and its rule.
    nodes
        Number of jobs.
    seconds
        Sum of the jobs' wall-clock seconds, whether or not they ran in parallel.
    longest
        Seconds of the longest job.
    memory
        Largest resident memory of a job's process in MB, without the model server.
    """

    arm: str
    title: str
    rule: str
    nodes: int
    seconds: float
    longest: float
    memory: float


def collect_timings(folders: Iterable[Path]) -> list[Timing]:
    """Summarise benchmark files ``<rule>.tsv`` and ``<rule>/<persona>.tsv`` below ``folders``."""
    runs: dict[str, list[tuple[float, float]]] = {}
    for folder in folders:
        for path in sorted(folder.rglob("*.tsv")):
            rule = path.relative_to(folder).parts[0].removesuffix(".tsv")
            runs.setdefault(rule, []).extend(_read(path))
    order = titles()
    timings = [
        Timing(
            *order.get(rule, (_ELSEWHERE, rule)),
            rule,
            len(times),
            sum(seconds for seconds, _ in times),
            max(seconds for seconds, _ in times),
            max(memory for _, memory in times),
        )
        for rule, times in runs.items()
        if times
    ]
    place = {rule: index for index, rule in enumerate(order)}
    return sorted(timings, key=lambda timing: (place.get(timing.rule, len(place)), timing.rule))


def _read(path: Path) -> list[tuple[float, float]]:
    """Return seconds and largest memory (MB) of each run in one benchmark file.

    A job that ends before Snakemake samples it has no memory reading; it counts as 0.
    """
    with path.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream, delimiter="\t"))
    return [(float(row["s"]), _megabytes(row["max_rss"])) for row in rows]


def _megabytes(text: str) -> float:
    try:
        return float(text)
    except ValueError:  # Snakemake writes "-" or "NA"
        return 0.0
