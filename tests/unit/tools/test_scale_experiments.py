"""Small tables enlarged to the rows of the papers' study."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

from personae.base.strict_yaml import read_yaml
from personae.data import tables
from personae.tools.bench import scale_bench, scale_experiments
from personae.workflow.config import Study, load_study

ROOT = Path(__file__).parents[3]


def test_lists_are_repeated_within_their_row() -> None:
    found = scale_experiments._longer(pa.array([[1, 2], [], [3]], pa.list_(pa.int32())), 2)
    assert found.to_pylist() == [[1, 2, 1, 2], [], [3, 3]]


def test_rows_get_new_units_and_keep_their_arms(tmp_path: Path) -> None:
    rows = [
        {"response_id": f"r{i}", "question_id": f"q{i}", "trait": "poetic", "coefficient": 1.0 * i}
        | {"response": "ab", "response_ids": [1, 2]}
        for i in range(2)
    ]
    path = tmp_path / "responses.parquet"
    tables.write(tables.from_rows(rows, "steered_responses"), path, "steered_responses", {})
    scale_experiments._repeat(path, 3, 2)
    found = tables.read(path, "steered_responses").to_pylist()
    assert [row["response_id"] for row in found] == ["r0", "r1", "r0+1", "r1+1", "r0+2", "r1+2"]
    assert [row["coefficient"] for row in found] == [0.0, 1.0] * 3
    assert {row["response"] for row in found} == {"abab"}
    assert {tuple(row["response_ids"]) for row in found} == {(1, 2, 1, 2)}


def test_a_table_gets_the_rows_of_the_papers_node(tmp_path: Path) -> None:
    small, large = (
        load_study_of(ROOT / name) for name in (".test/config/demo.yaml", "config/paper.yaml")
    )
    folder = tmp_path / "steering" / "poetic" / "alpha_sweep"
    path = folder / "scores.parquet"
    judged = [{"response_id": f"r{i}", "judge": "j", "score": 1.0} for i in range(10)]
    tables.write(tables.from_rows(judged, "scores"), path, "scores", {})
    scale_experiments.enlarge(tmp_path, small, large, "smollm2_135m")
    ours, _ = scale_experiments._responses(small, "smollm2_135m", "steer_trait")
    theirs, _ = scale_experiments._responses(large, "gemma2_27b", "steer_trait")
    steered = large.config.steering
    arms = 1 + (len(steered.coefficients) - 1) * (1 + steered.random_directions)
    assert theirs == arms * steered.questions * steered.samples
    assert tables.read(path, "scores").num_rows >= 10 * theirs / ours


def load_study_of(path: Path) -> Study:
    return load_study(read_yaml(path, str(path)), ROOT, sources=[path])


def test_a_study_that_is_not_finished_is_said(tmp_path: Path) -> None:
    options = ["--part", "experiments", "--results", str(tmp_path), "--scratch", str(tmp_path)]
    with pytest.raises(SystemExit, match=r"no finished study; run `snakemake --configfile"):
        scale_bench.main(options)
