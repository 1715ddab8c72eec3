"""Run the benchmark: ``python -m personae.tools.bench [--device cuda] [--shape gemma2_27b]``.

It prints a table and writes it to ``bench.parquet``; docs/bench.md says what the lines mean.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from personae.base.errors import PersonaeError
from personae.data import tables
from personae.inference.allocator import VARIABLE, keeping_memory
from personae.inference.engine_errors import ModelError

SHAPES = ("gemma2_27b", "qwen3_8b")
_IDLE_SECONDS = 60.0


def main(arguments: Sequence[str]) -> None:
    """Measure what was asked for, write the table after every line, and print it."""
    options = _parser().parse_args(arguments)
    # Said by the environment, so it must be there when a process starts.
    if VARIABLE not in os.environ:
        command = [sys.executable, "-m", "personae.tools.bench", *arguments]
        os.execve(sys.executable, command, keeping_memory(os.environ))
    try:
        _measure(options)
    except PersonaeError as error:
        sys.exit(f"bench: {error}")


def _measure(options: argparse.Namespace) -> None:
    if not (options.model / "manifest.json").exists():
        _prepare(options.model)
    rows: list[dict[str, Any]] = []
    print(_line(_TITLES))
    provenance: Mapping[str, str] = {}
    for row in _rows(options):
        provenance = provenance or _facts(options, row)
        rows.append(row)
        print(_line(_cells(row)), flush=True)
        tables.write(tables.from_rows(rows, "bench"), options.out, "bench", provenance)
    if not rows:
        raise PersonaeError(f"--only {options.only!r} is part of no metric's name")
    print(f"written to {options.out}")


def _rows(options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Yield the table's rows; models are loaded where the first line needs them."""
    from personae.api.requests import EngineSpec
    from personae.tools.bench import bench_judging, bench_models, dry_run_timing, processes
    from personae.tools.bench.measurement import compare
    from personae.tools.bench.suite import Sizes, Suite

    spec = EngineSpec(
        model=str(options.model),
        device=options.device,
        dtype=options.dtype,
        idle_seconds=_IDLE_SECONDS,
    )
    if options.shape:
        contest = bench_models.random_weights(
            options.shape, options.model, options.dtype, options.device
        )
    else:
        contest = bench_models.prepared(options.model, options.dtype, options.device)
    device = _device_name(contest.ours.device)
    device += f", {str(contest.ours.dtype).removeprefix('torch.')}"
    found = Suite(contest, Sizes()).comparisons()
    # Other processes load a prepared model; with random weights there is none.
    if not options.shape:
        found += [processes.memory(spec), processes.node(spec)]
        found += [bench_judging.comparison(), *dry_run_timing.comparisons()]
    for comparison in found:
        if options.only in comparison.metric:
            yield compare(comparison, options.repeats, device)


def _device_name(device: Any) -> str:
    """Return the device's own name, and for a CPU how many threads compute."""
    import torch

    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    name = str(torch.cpu.get_capabilities().get("cpu_name") or "CPU")
    return f"{name}, {torch.get_num_threads()} threads"


def _prepare(folder: Path) -> None:
    """Prepare the model that comes with the project, as the workflow would."""
    from personae.data.model_table import read_models
    from personae.inference.weights_manifest import ModelSource
    from personae.inference.weights_preparation import prepare_model

    models = read_models(Path("config/models.tsv"))
    if folder.name not in models:
        raise ModelError(
            f"{folder} is no prepared model, and the model table has no {folder.name!r}"
        )
    row = models[folder.name].model_dump()
    prepare_model(ModelSource(**{name: row[name] for name in ModelSource.model_fields}), folder)


def _facts(options: argparse.Namespace, row: Mapping[str, Any]) -> dict[str, str]:
    import torch
    import transformers

    return {
        "model": options.shape or options.model.name,
        "device": str(row["device"]),
        "torch": torch.__version__,
        "transformers": transformers.__version__,
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
    }


_TITLES = ("metric", "ours", "other", "ratio", "target", "met", "spread")


def _cells(row: Mapping[str, Any]) -> list[str]:
    """Return a row as text; what has no target has no verdict."""
    met = {None: "-", True: "yes", False: "NO"}[row["met"]]
    target = "-" if row["target"] is None else f"{row['target']:g}"
    numbers = [f"{row[name]:.4g}" for name in ("ours", "other", "ratio")]
    return [str(row["metric"]), *numbers, target, met, f"{row['spread']:.0%}"]


def _line(cells: Sequence[str]) -> str:
    return f"{cells[0]:<60}" + "".join(f"{cell:>11}" for cell in cells[1:])


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m personae.tools.bench", description=__doc__)
    parser.add_argument("--model", type=Path, default=Path("results/models/smollm2_135m"))
    parser.add_argument("--shape", choices=SHAPES, help="random weights of a published shape")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1, ...")
    parser.add_argument("--dtype", default="auto", choices=("auto", "float32", "bfloat16"))
    parser.add_argument("--repeats", type=int, default=3, help="turns of each side")
    parser.add_argument("--only", default="", help="metrics whose name contains this")
    parser.add_argument("--out", type=Path, default=Path("results/bench/bench.parquet"))
    return parser


if __name__ == "__main__":
    main(sys.argv[1:])
