"""The bench at the papers' size, as small as it goes: its nodes run on what it draws."""

from __future__ import annotations

import importlib
import inspect
from pathlib import Path

import pytest

from personae.tools.bench import scale_bench


def test_nodes_run_one_by_one_on_drawn_tables(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    study = scale_bench.ScaleStudy(tmp_path, scale_bench.SHAPES["tiny"], 12, 8)
    every = list(study.nodes())
    labels = [label for label, *_ in every]
    assert {"analyze_persona_space, 12 roles", "calibrate_floors, 12 roles"} <= set(labels)
    # A process each costs half a second: the ones that the others need, and one that grows.
    wanted = ("compute_role_vectors, default", "compute_axis", "calibrate_floors", "measure_sep")
    chosen = [node for node in every if node[0].startswith(wanted)]
    monkeypatch.setattr(scale_bench.ScaleStudy, "nodes", lambda _: iter(chosen))
    options = [
        "--part",
        "space",
        "--shape",
        "tiny",
        "--roles",
        "12",
        "--traits",
        "8",
        "--scratch",
        str(tmp_path),
    ]
    scale_bench.main(options)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 1 + len(chosen)
    assert all(float(line.split()[-3]) > 0.0 for line in lines[1:])


def test_nodes_get_the_arguments_that_they_take(tmp_path: Path) -> None:
    for _, module, given in scale_bench.ScaleStudy(
        tmp_path, scale_bench.SHAPES["tiny"], 12, 8
    ).nodes():
        main = importlib.import_module(f"scripts.{module}").main
        inspect.signature(main).bind(**given, provenance={})


def test_scratch_that_is_too_small_is_said_before_anything_is_drawn(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="GB of scratch are needed, --gigabytes allows 1"):
        scale_bench.main(["--scratch", str(tmp_path), "--gigabytes", "1"])
    assert not list(tmp_path.iterdir())


def test_a_node_that_fails_ends_the_bench_with_its_last_line(tmp_path: Path) -> None:
    options = [
        "--part",
        "space",
        "--shape",
        "tiny",
        "--scratch",
        str(tmp_path),
        "--only",
        "compute_trait_vectors",
    ]
    with pytest.raises(SystemExit, match=r"traits\.compute_trait_vectors: .*no such table"):
        scale_bench.main(options)
