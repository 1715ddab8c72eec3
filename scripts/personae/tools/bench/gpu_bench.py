"""Measure the engines on a GPU with random weights: ``python -m personae.tools.bench.gpu_bench``.

Every side runs in a separate process, one after another. A side that cannot run here is said to,
and so is what was not measured.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from personae.tools.bench.gpu_arms import ARMS, Rates
from personae.tools.bench.gpu_shapes import SHAPES

_COMPARED = (
    # line, of which side, against which line, of which side, what to reach
    ("rollouts, {rows} rows", "vllm kind", "rollouts, {rows} rows", "plain vLLM", 0.95),
    ("mixed interventions, {rows} rows", "vllm kind", "rollouts, {rows} rows", "vllm kind", 0.9),
    ("capping 16 layers, {rows} rows", "vllm kind", "rollouts, {rows} rows", "vllm kind", 0.9),
    ("rollouts, {rows} rows", "vllm kind", "rollouts, {rows} rows", "transformers", 3.3),
    ("extraction", "vllm kind", "extraction", "transformers", 0.95),
    ("extraction", "torch kind", "extraction", "transformers", 0.95),
    (
        "rollouts, first pass, {rows} rows",
        "torch kind",
        "rollouts, {rows} rows",
        "transformers",
        1.2,
    ),
    ("mixed interventions, {rows} rows", "torch kind", "rollouts, {rows} rows", "torch kind", 0.95),
    ("capping 16 layers, {rows} rows", "torch kind", "rollouts, {rows} rows", "torch kind", 0.95),
    ("likelihoods", "torch kind", "likelihoods", "transformers", 10.0),
    ("likelihoods", "vllm kind", "likelihoods", "transformers", 10.0),
)


def main(arguments: list[str]) -> None:
    """Run all sides and print, or write, the table."""
    parser = argparse.ArgumentParser(prog="gpu_bench", description=__doc__)
    parser.add_argument("--shape", choices=sorted(SHAPES), default="qwen3_8b")
    parser.add_argument("--arm", choices=sorted(ARMS), help="measure one side in this process")
    parser.add_argument("--out", type=Path, help="file of the table, or of one side's figures")
    options = parser.parse_args(arguments)
    if options.arm:
        rates = ARMS[options.arm](SHAPES[options.shape])
        options.out.write_text(json.dumps(rates), encoding="utf-8")
        return
    table = render_table(options.shape, {name: _measured(options.shape, name) for name in ARMS})
    if options.out:
        options.out.write_text(table, encoding="utf-8")
    print(table)


def _measured(shape: str, arm: str) -> Rates | str:
    """Return one side's figures, or why there are none."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "rates.json"
        command = [sys.executable, "-m", __spec__.name, "--shape", shape, "--arm", arm]
        environment = {**os.environ, "VLLM_USE_V2_MODEL_RUNNER": "0", "HF_HUB_OFFLINE": "1"}
        done = subprocess.run(
            [*command, "--out", str(out)], capture_output=True, text=True, env=environment
        )
        if done.returncode == 0:
            rates: Rates = json.loads(out.read_text(encoding="utf-8"))
            return rates
    lines = [line for line in done.stderr.splitlines() if "Error" in line]
    return lines[-1].strip() if lines else f"ended with {done.returncode}"


def render_table(shape: str, measured: dict[str, Rates | str]) -> str:
    """Return the comparisons as a table in Markdown, and what could not be measured."""
    lines = [
        f"Shape {shape}, random weights; tokens/s.",
        "",
        "| what | side | tokens/s | against | tokens/s | ratio | reach |",
        "|---|---|---|---|---|---|---|",
    ]
    for what, side, other, against, reach in _COMPARED:
        for rows in SHAPES[shape].rows if "{rows}" in what else ("",):
            names = what.format(rows=rows), other.format(rows=rows)
            ours, theirs = (
                found.get(name) if isinstance(found := measured[arm], dict) else None
                for name, arm in zip(names, (side, against), strict=True)
            )
            figures = [f"{value:,.0f}" if value else "not measured" for value in (ours, theirs)]
            ratio = f"{ours / theirs:.2f}" if ours and theirs else "-"
            lines.append(
                f"| {names[0]} | {side} | {figures[0]} | {against}, {names[1]} | {figures[1]} "
                f"| {ratio} | {reach:g} |"
            )
    missing = [f"{arm}: {why}" for arm, why in measured.items() if isinstance(why, str)]
    return "\n".join([*lines, "", *(f"Not measured: {line}" for line in missing)]).rstrip() + "\n"


if __name__ == "__main__":
    main(sys.argv[1:])
