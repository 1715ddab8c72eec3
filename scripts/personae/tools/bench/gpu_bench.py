"""Measure the engines on a GPU with random weights: ``python -m personae.tools.bench.gpu_bench``.

Every side runs in a process of its own, one after another, within the time that is left of the
budget. A side that cannot run here is said to, and so is what was not measured.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Final, NamedTuple

from personae.base.atomic_files import replace_atomically
from personae.tools.bench.gpu_arms import ARMS
from personae.tools.bench.gpu_shapes import SHAPES

Rates = dict[str, float]
"""Tokens per second by the name of a line."""


class Measured(NamedTuple):
    """A side's lines, and why there are no more; None if all were measured."""

    rates: Rates
    ended: str | None = None


class Compared(NamedTuple):
    """A line of a side against another; what to reach with few and with many rows, None: free."""

    line: str
    side: str
    other_line: str
    other_side: str
    reach: tuple[float, ...] | None


_ROWS: Final = "{rows} rows"
COMPARED: Final = (
    Compared(f"rollouts, {_ROWS}", "vllm kind", f"rollouts, {_ROWS}", "plain vLLM", (0.95, 0.95)),
    *(
        Compared(f"rollouts, {_ROWS}", side, f"rollouts, {_ROWS}", "plain vLLM", None)
        for side in ("vllm kind, eager", "vllm kind, batch-invariant")
    ),
    *(
        Compared(f"{line}, {_ROWS}", side, f"rollouts, {_ROWS}", side, (reach, reach))
        for side, reach in (("vllm kind", 0.9), ("vllm kind, eager", 0.9), ("torch kind", 0.95))
        for line in ("mixed interventions", "capping 16 layers")
    ),
    *(
        Compared(f"{line}, {_ROWS}", "vllm kind", f"rollouts, {_ROWS}", "transformers", (4.0, 3.3))
        for line in ("rollouts", "mixed interventions", "capping 16 layers")
    ),
    Compared(
        f"rollouts, first pass, {_ROWS}", "torch kind", f"rollouts, {_ROWS}", "transformers",
        (1.5, 1.2),
    ),
    *(
        Compared(line, side, line, "transformers", (reach,))
        for line, reach in (("layer sweep", 15.0), ("extraction", 0.95), ("likelihoods", 10.0))
        for side in ("vllm kind", "torch kind")
    ),
)  # fmt: skip


def main(arguments: list[str]) -> None:
    """Run all sides and print, or write, the table."""
    parser = argparse.ArgumentParser(prog="gpu_bench", description=__doc__)
    parser.add_argument("--shape", choices=sorted(SHAPES), default="qwen3_8b")
    parser.add_argument("--seconds", type=float, default=470, help="time for all sides together")
    parser.add_argument("--arm", choices=sorted(ARMS), help="measure one side in this process")
    parser.add_argument("--out", type=Path, help="file of the table, or of one side's figures")
    options = parser.parse_args(arguments)
    if options.arm:
        rates: Rates = {}
        for name, rate in ARMS[options.arm](SHAPES[options.shape]):
            rates[name] = rate
            _write(options.out, json.dumps(rates))
        return
    end = time.monotonic() + options.seconds
    measured = {}
    for place, name in enumerate(ARMS):
        # A side that is fast leaves its time to those after it; the last one has what is left.
        sharing = max(len(ARMS) - 1 - place, 1)
        measured[name] = _measured(options.shape, name, (end - time.monotonic()) / sharing)
    table = render_table(options.shape, measured)
    if options.out:
        _write(options.out, table)
    print(table)


def _write(path: Path, text: str) -> None:
    with replace_atomically(path) as part:
        part.write_text(text, encoding="utf-8")


def _measured(shape: str, arm: str, seconds: float) -> Measured:
    """Run one side for at most some seconds; return its lines."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "rates.json"
        command = [sys.executable, "-m", __spec__.name, "--shape", shape, "--arm", arm]
        environment = {**os.environ, "VLLM_USE_V2_MODEL_RUNNER": "0", "HF_HUB_OFFLINE": "1"}
        with subprocess.Popen(
            [*command, "--out", str(out)], stderr=subprocess.PIPE, stdout=subprocess.DEVNULL,
            text=True, env=environment, start_new_session=True,
        ) as process:  # fmt: skip
            try:
                _, said = process.communicate(timeout=max(seconds, 0))
                ended = None if process.returncode == 0 else _reason(said, process.returncode)
            except subprocess.TimeoutExpired:
                ended = f"its {seconds:.0f} s were over"
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)  # with the workers of further ranks
        rates = json.loads(out.read_text(encoding="utf-8")) if out.exists() else {}
    return Measured(rates, ended)


def _reason(said: str, status: int) -> str:
    """Return the last line of an error's output that names it."""
    lines = [line for line in said.splitlines() if "Error" in line]
    return lines[-1].strip() if lines else f"ended with {status}"


def render_table(shape: str, measured: dict[str, Measured]) -> str:
    """Return the comparisons as a table in Markdown, and what could not be measured."""
    lines = [
        f"Shape {shape}, random weights; tokens/s.",
        "",
        "| what | side | tokens/s | against | tokens/s | ratio | reach |",
        "|---|---|---|---|---|---|---|",
    ]
    for compared in COMPARED:
        by_rows = _ROWS in compared.line
        for place, rows in enumerate(SHAPES[shape].rows if by_rows else (0,)):
            names = (compared.line.format(rows=rows), compared.other_line.format(rows=rows))
            ours = measured[compared.side].rates.get(names[0])
            theirs = measured[compared.other_side].rates.get(names[1])
            figures = [f"{value:,.0f}" if value else "not measured" for value in (ours, theirs)]
            ratio = f"{ours / theirs:.2f}" if ours and theirs else "-"
            reach = f"{compared.reach[place]:g}" if compared.reach else "-"
            lines.append(
                f"| {names[0]} | {compared.side} | {figures[0]} "
                f"| {compared.other_side}, {names[1]} | {figures[1]} | {ratio} | {reach} |"
            )
    missing = [f"{arm}: {found.ended}" for arm, found in measured.items() if found.ended]
    return (
        "\n".join([*lines, "", *(f"Not all measured: {line}" for line in missing)]).rstrip() + "\n"
    )


if __name__ == "__main__":
    main(sys.argv[1:])
