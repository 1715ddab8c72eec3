"""The GPU benchmark on a tiny shape: every line is measured, or said not to be."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

from personae.inference.vllm_engine.vllm_loading import vllm_version
from personae.tools.bench import gpu_bench
from personae.tools.bench.gpu_arms import ARMS
from personae.tools.bench.gpu_bench import COMPARED, Measured, main, render_table
from personae.tools.bench.gpu_shapes import SHAPES

TINY = SHAPES["tiny"]
NEEDS_VLLM = {side for side in ARMS if "vllm" in side.lower()}


def _lines_of(side: str) -> set[str]:
    """Return the lines that the table wants of a side."""
    wanted = [(c.line, c.side) for c in COMPARED] + [(c.other_line, c.other_side) for c in COMPARED]
    return {line.format(rows=rows) for line, of in wanted if of == side for rows in TINY.rows}


@pytest.mark.full_size
@pytest.mark.timeout(900)
def test_the_script_runs_to_its_end_on_a_tiny_shape(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    here = set(ARMS) - (set() if vllm_version() else NEEDS_VLLM)
    if not torch.cuda.is_available():
        here.discard("vllm kind, batch-invariant")
    monkeypatch.setenv("PYTHONPATH", str(Path(gpu_bench.__file__).parents[3]))
    found: dict[str, Measured] = {}
    measure = gpu_bench._measured

    def watched(shape: str, arm: str, seconds: float) -> Measured:
        found[arm] = measure(shape, arm, seconds)
        return found[arm]

    monkeypatch.setattr(gpu_bench, "_measured", watched)
    main(["--shape", "tiny", "--seconds", "880", "--out", str(tmp_path / "table.md")])
    table = (tmp_path / "table.md").read_text(encoding="utf-8")
    assert table in capsys.readouterr().out
    for side in ARMS:
        if side in here:
            assert found[side].ended is None, table
            assert _lines_of(side) <= set(found[side].rates)
            assert all(rate > 0 for rate in found[side].rates.values())
        else:
            assert f"Not all measured: {side}: ModuleNotFoundError" in table or (
                f"Not all measured: {side}: personae.inference.engine_errors.ModelError" in table
            )


def test_a_side_that_runs_out_of_time_is_ended_and_its_lines_are_kept(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    script = tmp_path / "slow.py"
    script.write_text(
        "import pathlib, sys, time\n"
        "pathlib.Path(sys.argv[-1]).write_text('{\"extraction\": 5.0}')\n"
        "time.sleep(600)\n"
    )
    run = tmp_path / "run"
    run.write_text(
        f'#!/bin/sh\nwhile [ "$1" != --out ]; do shift; done\nexec {sys.executable} {script} "$2"\n'
    )
    run.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(run))
    measured = gpu_bench._measured("tiny", "torch kind", 3)
    assert measured == Measured({"extraction": 5.0}, "its 3 s were over")


def test_the_table_never_shows_a_figure_that_was_not_measured() -> None:
    table = render_table(
        "tiny",
        {
            "vllm kind": Measured({}, "ModelError: no vLLM"),
            "vllm kind, eager": Measured({}, "ModelError: no vLLM"),
            "vllm kind, batch-invariant": Measured({}, "ModelError: no vLLM"),
            "plain vLLM": Measured({}, "ModuleNotFoundError: no vLLM"),
            "torch kind": Measured({"extraction": 1900.0}, "its 90 s were over"),
            "transformers": Measured({"extraction": 2000.0}),
        },
    )
    row = "| extraction | torch kind | 1,900 | transformers, extraction | 2,000 | 0.95 | 0.95 |"
    assert row in table.splitlines()
    assert table.count("not measured") > 20
    assert "Not all measured: vllm kind: ModelError: no vLLM" in table
