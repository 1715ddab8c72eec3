"""The benchmark: alternating runs, verdicts, equal work, published shapes."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from personae.base.errors import PersonaeError
from personae.data import tables
from personae.tools.bench import bench_judging, bench_models, dry_run_timing
from personae.tools.bench.__main__ import SHAPES
from personae.tools.bench.baselines import PlainModel
from personae.tools.bench.bench_models import ModelPair
from personae.tools.bench.hardware_limits import decode_limit
from personae.tools.bench.measurement import BenchComparison, compare, rate, together
from personae.tools.bench.suite import Sizes, Suite
from personae.tools.bench.workload import capped, mixed, unequal
from tests.unit.inference.engine.families import load_tiny, make_model

SMALL = Sizes(
    rows=3, tokens=3, requests=4, budgets=(2, 4), layers=2, coefficients=2, questions=2,
    sweep_tokens=2, texts=3, lengths=(3, 6),
)  # fmt: skip


@pytest.fixture(scope="module")
def contest() -> ModelPair:
    """Two tiny models with the same weights, long enough for the benchmark's prompts."""
    ours = load_tiny("llama3")
    return ModelPair(
        replace(ours, stop_ids=frozenset(), max_length=8192),
        PlainModel(make_model("llama3"), torch.device("cpu")),
    )


def test_sides_take_turns_and_medians_are_of_their_ratios() -> None:
    calls: list[str] = []
    values = {"ours": iter([4.0, 6.0, 20.0]), "other": iter([2.0, 2.0, 5.0])}

    def side(name: str) -> float:
        calls.append(name)
        return next(values[name])

    row = compare(BenchComparison("m", lambda: side("ours"), lambda: side("other"), 2.5), 3, "here")
    assert calls == ["ours", "other", "other", "ours", "ours", "other"]
    assert row == {
        "metric": "m", "ours": 6.0, "other": 2.0, "ratio": 3.0, "target": 2.5, "met": True,
        "n": 3, "spread": pytest.approx(2 / 3), "device": "here",
    }  # fmt: skip
    tables.from_rows([row], "bench")


@pytest.mark.parametrize(
    ("target", "bound", "ours", "ratio", "met"),
    [
        (2.0, "ratio at least", 0.0, 1.99, False),
        (2.0, "ratio at least", 0.0, 2.0, True),
        (1.3, "ratio at most", 9.0, 1.31, False),
        (1.3, "ratio at most", 9.0, 1.2, True),
        (0.7, "ours at most", 0.6, 9.0, True),
        (0.7, "ours at most", 0.8, 0.1, False),
        (None, "ratio at least", 0.0, 0.0, None),
    ],
)
def test_verdicts(target: float, bound: str, ours: float, ratio: float, met: bool) -> None:
    comparison = BenchComparison("m", float, float, target, bound)  # type: ignore[arg-type]
    assert comparison.met(ours, ratio) is met


def test_both_sides_of_every_comparison_do_the_same_amount_of_work(
    contest: ModelPair, monkeypatch: pytest.MonkeyPatch
) -> None:
    counts: list[int] = []
    monkeypatch.setattr(
        "personae.tools.bench.suite.rate", lambda _, work: lambda: counts.append(work()) or 1.0
    )
    monkeypatch.setattr("personae.tools.bench.suite.decode_limit", lambda *_: 1.0)
    found = {}
    for comparison in Suite(contest, SMALL).comparisons():
        counts.clear()
        comparison.ours()
        comparison.other()
        found[comparison.metric] = list(counts)
    assert found["generation / transformers generate"] == [9, 9]
    assert found["unequal requests / static batches of 32"] == [sum(unequal(4, 2, 4))] * 2
    # One setting a layer stands for all, at the same cost: a quarter of the sweep's coefficients.
    assert found["layer sweep / generate with hooks"] == [16, 8]
    assert found["mixed interventions / none"] == [9, 9]
    assert found["capping at 16 layers / none"] == [9, 9]
    assert found["likelihood judge / one forward a pair"] == [6, 6]
    [ours, other] = found["extraction / hidden states row by row"]
    assert ours == other
    [ours, other] = found["extraction / plain forward without head"]
    assert 0 <= ours - other < SMALL.texts


def test_mixed_rows_differ_in_everything_and_capped_ones_in_nothing() -> None:
    rows = [row for [row] in mixed(12, 30)]
    assert len({row.layer for row in rows}) == 12
    assert {row.op for row in rows} == {"add", "cap", "ablate"}
    assert len({row.coefficient for row in rows}) == 12
    assert [len(row) for row in capped(3, 30)] == [16] * 3
    assert len({tuple(row) for row in capped(3, 30)}) == 1


def test_lengths_cover_the_range_in_no_order() -> None:
    lengths = unequal(128, 8, 96)
    assert (min(lengths), max(lengths)) == (8, 96)
    assert sorted(lengths) != lengths


@pytest.mark.parametrize(("shape", "billions"), [("gemma2_27b", 27.2), ("qwen3_8b", 8.2)])
def test_shapes_have_as_many_parameters_as_published(shape: str, billions: float) -> None:
    with torch.device("meta"):
        model = bench_models.build(shape, torch.bfloat16)
    count = sum(parameter.numel() for parameter in model.parameters())
    assert count / 1e9 == pytest.approx(billions, abs=0.05)
    assert set(bench_models.SHAPES) == set(SHAPES)


def test_the_machine_limit_and_rates_are_positive(
    contest: ModelPair, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("personae.tools.bench.hardware_limits._SIDE", {"cpu": 64})
    monkeypatch.setattr("personae.tools.bench.hardware_limits._COPIED", {"cpu": 2**16})
    assert decode_limit(contest.ours, 8) > 0
    assert rate(torch.device("cpu"), lambda: 5)() > 0


def test_the_table_survives_the_disk(tmp_path: Path) -> None:
    row = compare(BenchComparison("m", lambda: 1.0, lambda: 2.0, None), 1, "here")
    tables.write(tables.from_rows([row], "bench"), tmp_path / "b.parquet", "bench", {"a": "b"})
    assert tables.read(tmp_path / "b.parquet", "bench").to_pylist() == [row]


def test_figures_of_one_piece_of_work_are_measured_together() -> None:
    done: list[int] = []

    def work() -> tuple[float, float]:
        done.append(1)
        return 10.0 * len(done), float(len(done))

    first, second = together(work, 2)
    assert [first(), second(), second(), first(), first()] == [10.0, 1.0, 2.0, 20.0, 30.0]
    assert len(done) == 3


def test_judging_is_measured_against_what_bare_sockets_reach_there() -> None:
    rate_, allowed = bench_judging.measure(2, 0.02, 20)
    # Not timed: only that nothing can be faster than the latency that was asked for.
    assert 0.0 < rate_ <= 2 / 0.02
    assert 0.0 < allowed <= 2 / 0.02


def test_a_dry_run_that_fails_is_no_figure() -> None:
    with pytest.raises(PersonaeError, match=r"the dry run of config/paper\.yaml failed: .+"):
        dry_run_timing.dry_run("--no-such-option")


def test_judging_is_measured_in_a_process_without_torch() -> None:
    code = "import sys, personae.tools.bench.bench_judging; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
