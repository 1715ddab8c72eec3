"""The experiments' nodes at the papers' size: a finished small study with as many rows as theirs.

Rows of responses, scores and measurements are repeated under new names of questions, items and
conversations until a node has as many responses as in the papers' study, and responses are as
long as there. Arms, layers and traits stay those of the small study.
"""

from __future__ import annotations

import argparse
import math
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from personae.base.errors import PersonaeError
from personae.base.strict_yaml import read_yaml
from personae.data import tables
from personae.workflow.config import Study, load_study
from personae.workflow.estimate import load_rates
from personae.workflow.estimate.node_work import WorkCounter
from personae.workflow.node_usage import NodeUsage
from personae.workflow.stages.registry import STAGES, nodes

_LARGE: Final = Path("config/paper.yaml")

_FILES: Final[Mapping[str, tuple[str, ...]]] = {
    "generate_role_responses": ("roles/*/responses", "roles/*/scores"),
    "generate_trait_responses": ("traits/*/*/responses", "traits/*/*/scores"),
    "sweep_trait_layers": ("steering/*/layer_sweep/responses", "steering/*/layer_sweep/scores"),
    "steer_trait": ("steering/*/alpha_sweep/responses", "steering/*/alpha_sweep/scores"),
    "steer_compared_arms": ("steering/*/comparison/*",),
    "generate_monitored_responses": (
        "monitoring/*/responses", "monitoring/*/scores", "monitoring/*/projections",
    ),
    "cap_responses": ("capping/responses", "capping/scores"),
    "measure_capability": ("capping/capability",),
    "steer_roles": ("susceptibility/responses", "susceptibility/scores"),
    "answer_probes": ("harm/responses", "harm/scores"),
    "replay_cases": ("cases/replays", "cases/scores", "cases/projections", "cases/tokens"),
    "simulate_conversations": ("drift/replays", "drift/simulated", "drift/projections"),
    "answer_finetuned": (
        "finetuning/*/responses", "finetuning/*/scores", "finetuning/*/prompts",
        "finetuning/*/closed",
    ),
    "screen_training_data": ("screening/*/rows",),
}  # fmt: skip
"""The stage whose responses say how much larger tables get, with their files."""

_SUMMED: Final = frozenset({"generate_role_responses", "generate_trait_responses"})
"""Stages of which one node reads all, so that the sum over personas counts."""

_UNITS: Final = (
    "response_id", "question_id", "question", "item", "conversation", "prompt_id", "subject",
)  # fmt: skip
"""Columns that get new values in repeated rows."""

_ARMS: Final = frozenset({"models", "library", "published", "roles", "axis", "traits"})
"""Arms whose nodes of tables the other part of the bench measures."""


def experiment_nodes(options: argparse.Namespace) -> Iterator[tuple[str, NodeUsage]]:
    """Enlarge the small study in ``options.scratch``, run its nodes of tables, yield their use."""
    small = _study(options.study)
    large = _study(_LARGE)
    source = options.results or Path("results") / small.config.study
    if not (source / "scorecard.parquet").is_file():
        raise PersonaeError(
            f"{source}: no finished study; run `snakemake --configfile {options.study}`, or name "
            "the results of one with --results"
        )
    target = options.scratch.resolve() / "results" / small.config.study
    shutil.rmtree(target, ignore_errors=True)
    # Logs say what nodes used: none is to be there but those of this run.
    shutil.copytree(source, target, ignore=shutil.ignore_patterns(".finished", "logs"))
    for model in small.model_names:
        enlarge(target / model, small, large, model)
    _run_tables(options.study.resolve(), options.scratch.resolve())
    if not (used := list(_usage(target))):
        raise PersonaeError(
            f"{source}: no node could run on it; it is of another version of this code, so run the "
            f"study anew (see {options.scratch}/snakemake.log)"
        )
    yield from used


def _study(path: Path) -> Study:
    return load_study(read_yaml(path, str(path)), Path.cwd(), sources=[path])


def enlarge(folder: Path, small: Study, large: Study, model: str) -> None:
    """Repeat the rows of a model's tables until they are those of the large study's first model.

    Every table forgets which versions of others it was made from, as those are no longer there.
    """
    sizes: dict[Path, tuple[int, int]] = dict.fromkeys(folder.rglob("*.parquet"), (1, 1))
    for rule, patterns in _FILES.items():
        ours, longer = _responses(small, model, rule)
        theirs, long = _responses(large, large.model_names[0], rule)
        size = math.ceil(theirs / max(1, ours)), math.ceil(long / max(1, longer))
        sizes |= {path: size for name in patterns for path in folder.glob(f"{name}.parquet")}
    for path, size in sorted(sizes.items()):
        _repeat(path, *size)


def _responses(study: Study, model: str, rule: str) -> tuple[float, float]:
    """Return the responses of the largest node of a stage, or of all, and tokens of a response."""
    counter = WorkCounter(study, model, load_rates(study.base / "config/rates.yaml"))
    works = [counter.node(rule, at) for at in nodes(STAGES[rule], study, model)]
    found = [(work.responses, work.generated) for work in works if work and work.responses]
    if not found:
        return 0.0, 1.0
    numbers = [number for number, _ in found]
    tokens = sum(generated for _, generated in found) / sum(numbers)
    return float(sum(numbers) if rule in _SUMMED else max(numbers)), tokens


def _repeat(path: Path, times: int, longer: int) -> None:
    """Repeat a table's rows under new names, and make its responses longer."""
    kind, facts = tables.kind(path), {**tables.provenance(path), "inputs": "{}"}
    table = tables.read(path, kind)
    n = table.num_rows
    repeated = table.take(pa.array(np.tile(np.arange(n), times)))
    copies = np.repeat(np.arange(times), n)
    suffix = pa.array(np.where(copies > 0, np.char.add("+", copies.astype(str)), ""))
    for place, name in enumerate(repeated.column_names):
        column = repeated[name].combine_chunks()
        if name in _UNITS:
            column = pc.binary_join_element_wise(column, suffix.cast(column.type), "")
        elif name == "row" and n:
            column = pc.add(column, pa.array(copies * (1 + pc.max(table[name]).as_py())))
        elif name == "response":
            column = pc.binary_repeat(column, longer)
        elif name == "response_ids":
            column = _longer(column, longer)
        field = repeated.schema.field(name)
        repeated = repeated.set_column(place, field, column.cast(field.type))
    tables.write(repeated, path, kind, facts)


def _longer(lists: pa.ListArray, times: int) -> pa.ListArray:
    """Return lists whose values are there ``times`` times, one after another."""
    lengths = lists.value_lengths().fill_null(0).to_numpy()
    values = lists.flatten().to_numpy()
    starts = np.cumsum(lengths) - lengths
    ends = np.cumsum(times * lengths)
    within = np.arange(times * lengths.sum()) - np.repeat(ends - times * lengths, times * lengths)
    places = np.repeat(starts, times * lengths) + within % np.repeat(lengths, times * lengths)
    offsets = np.concatenate([[0], ends]).astype(np.int32)
    return pa.ListArray.from_arrays(offsets, pa.array(values[places]))


def _run_tables(study: Path, scratch: Path) -> None:
    """Have Snakemake run all nodes of tables anew, and no other."""
    rules = [s.rule for s in STAGES.values() if s.runs == "tables" and s.arm not in _ARMS]
    command = [
        sys.executable, "-m", "snakemake", "--snakefile", str(Path("Snakefile").resolve()),
        "--directory", str(scratch), "--configfile", str(study),
        "--cores", "1", "--forceall", "--keep-going", "--rerun-incomplete", "--nolock",
        "--allowed-rules", "all", *rules,
    ]  # fmt: skip
    log = scratch / "snakemake.log"
    with log.open("w", encoding="utf-8") as stream:
        done = subprocess.run(command, stdout=stream, stderr=stream)
    if done.returncode:
        print(f"some nodes failed, see {log}", file=sys.stderr)


def _usage(target: Path) -> Iterator[tuple[str, NodeUsage]]:
    """Yield the use of every node that ran, from its log."""
    for stage in STAGES.values():
        if stage.runs != "tables" or stage.arm in _ARMS:
            continue
        named = {*target.glob(f"**/logs/{stage.rule}.log"), *target.glob(f"**/{stage.rule}/*.log")}
        for path in sorted(named):
            used = NodeUsage.of_log(path.read_text(encoding="utf-8"))
            if used is not None:
                label = stage.rule if path.stem == stage.rule else f"{stage.rule}, {path.stem}"
                yield label, used
