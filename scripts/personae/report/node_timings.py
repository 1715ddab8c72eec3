"""How long each stage took: the benchmark files that Snakemake leaves beside the results."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from pathlib import Path
from typing import Final, NamedTuple

STAGES: Final[dict[str, tuple[str, ...]]] = {
    "Models": ("prepare_model",),
    "Library": ("write_library_card",),
    "Judges": ("calibrate_judges", "summarize_scores"),
    "Roles": (
        "generate_role_responses", "judge_role_responses", "extract_role_activations",
        "compute_role_vectors", "project_role_responses",
    ),
    "Axis": ("compute_axis", "analyze_persona_space", "measure_separation"),
    "Traits": (
        "generate_trait_responses", "judge_trait_responses", "extract_trait_activations",
        "compute_trait_vectors", "project_trait_responses", "compare_trait_vectors",
    ),
    "Steering": (
        "sweep_trait_layers", "judge_layer_sweep", "choose_trait_layer", "steer_trait",
        "judge_steering", "summarize_steering",
    ),
    "Monitoring": (
        "generate_monitored_responses", "judge_monitored_responses", "project_last_prompts",
        "measure_monitoring",
    ),
    "Capping": (
        "calibrate_floors", "cap_responses", "judge_capping", "measure_capping_cost",
        "summarize_capping",
    ),
    "Drift": (
        "replay_conversations", "simulate_conversations", "project_conversations",
        "summarize_drift",
    ),
}  # fmt: skip
"""Stages of the workflow with their rules, in order; other rules make figures and report."""

_REPORT: Final = "Figures and report"


class Timing(NamedTuple):
    """Time and memory of all nodes of one rule.

    Attributes
    ----------
    stage, rule
        Stage of the workflow, and rule.
    nodes
        Nodes that were run.
    seconds
        Wall-clock seconds of all nodes together; nodes that ran side by side count each.
    longest
        Seconds of the longest node.
    memory
        Largest resident memory of a node's own process in MB; the model server is another one.
    """

    stage: str
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
    order = {rule: (stage, i) for stage, rules in STAGES.items() for i, rule in enumerate(rules)}
    stages = [*STAGES, _REPORT]
    timings = [
        Timing(
            order.get(rule, (_REPORT, 0))[0],
            rule,
            len(times),
            sum(seconds for seconds, _ in times),
            max(seconds for seconds, _ in times),
            max(memory for _, memory in times),
        )
        for rule, times in runs.items()
        if times
    ]
    return sorted(
        timings, key=lambda t: (stages.index(t.stage), order.get(t.rule, ("", 0))[1], t.rule)
    )


def _read(path: Path) -> list[tuple[float, float]]:
    """Return seconds and largest memory (MB) of each run in one benchmark file.

    A node too short to be sampled has no memory reading; it counts as 0.
    """
    with path.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream, delimiter="\t"))
    return [(float(row["s"]), _megabytes(row["max_rss"])) for row in rows]


def _megabytes(text: str) -> float:
    try:
        return float(text)
    except ValueError:  # Snakemake writes "-" or "NA"
        return 0.0
