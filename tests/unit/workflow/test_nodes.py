"""Spans, scores, damage, separation and the frame in which nodes run."""

from __future__ import annotations

import logging
import math
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pytest
from snakemake.iocontainers import Params
from threadpoolctl import threadpool_info, threadpool_limits

from personae.base.errors import PersonaeError
from personae.data import tables
from personae.data.integrity import damaged_tables
from personae.data.judge_scores import check_unscored, in_order, primary_scores, scores_by_judge
from personae.rollouts.extraction import spans_of
from personae.science.permutations import permuted_labels
from personae.science.projection_tables import Projected, projected_rollouts
from personae.science.separation import separate
from personae.science.statistics import auc
from personae.workflow.node import run_node


def score_table(scores: list[float | None], judge: str = "a", primary: bool = True) -> pa.Table:
    rows = [
        {
            "response_id": str(i),
            "rubric": "trait",
            "target": "t",
            "judge": judge,
            "primary": primary,
            "score": score,
            "raw": "",
            "reason": None if score is not None else "refusal",
        }
        for i, score in enumerate(scores)
    ]
    return tables.from_rows(rows, "scores")


def test_spans_partition_prompt_and_response() -> None:
    spans = {
        s.name: (s.start, s.end)
        for s in spans_of(7, 3, ("response_mean", "prompt_mean", "last_prompt"))
    }
    assert spans == {"response_mean": (7, 10), "prompt_mean": (0, 7), "last_prompt": (6, 7)}
    with pytest.raises(ValueError, match="unknown span"):
        spans_of(7, 3, ["respones"])


def test_unscored_is_nan_and_the_primary_judge_decides() -> None:
    both = pa.concat_tables(
        [score_table([50.0, None]), score_table([1.0, 2.0], "b", primary=False)]
    )
    assert set(scores_by_judge(both, "trait")) == {"a", "b"}
    primary = primary_scores(both, "trait")
    assert primary["0"] == 50.0
    assert math.isnan(primary["1"])
    assert math.isnan(in_order(primary, ["9"])[0])
    with pytest.raises(PersonaeError, match="0 primary judges"):
        primary_scores(both, "coherence")


def test_too_many_unscored_fail_the_node_with_place_and_key() -> None:
    scores = primary_scores(score_table([1.0, None, None, None]), "trait")
    check_unscored(scores, 0.75, "x.parquet")
    with pytest.raises(PersonaeError, match=r"x\.parquet: 3 of 4 .*max_unscored = 0\.5"):
        check_unscored(scores, 0.5, "x.parquet")


def test_cut_short_and_empty_tables_are_found_and_whole_ones_are_not(tmp_path: Path) -> None:
    whole = tmp_path / "a" / "whole.parquet"
    tables.write(score_table([1.0] * 50), whole, "scores", {})
    assert damaged_tables(tmp_path) == []
    content = whole.read_bytes()
    (tmp_path / "half.parquet").write_bytes(content[: len(content) // 2])
    (tmp_path / "empty.parquet").write_bytes(b"")
    assert [path.name for path in damaged_tables(tmp_path)] == ["empty.parquet", "half.parquet"]


def planted(shift: float) -> Projected:
    rng = np.random.default_rng(0)
    rows = [
        {
            "subject": kind,
            "kind": kind,
            "response_id": f"{kind}{i}",
            "question_id": f"q{i % 5}",
            "split": "heldout",
            "direction": "axis",
            "layer": layer,
            "projection": float(rng.normal() + (shift if kind == "default" else 0.0) * layer),
        }
        for kind in ("default", "role")
        for i in range(40)
        for layer in range(2)
    ]
    return projected_rollouts(tables.from_rows(rows, "projections"))


def test_a_planted_separation_is_found_at_its_layer_alone() -> None:
    rows = separate(planted(4.0), "axis", "heldout", permutations=50, seed=0).to_pylist()
    assert [row["layer"] for row in rows] == [0, 1]
    assert rows[0]["auc"] == pytest.approx(0.5, abs=0.15)
    assert rows[1]["auc"] > 0.95 > rows[1]["null_p95"]
    assert rows[1]["auc_low"] <= rows[1]["auc"] <= rows[1]["auc_high"]
    assert rows[1]["p_value"] < 0.05 < rows[0]["p_value"]


def test_roles_above_the_default_give_an_auc_below_one_half() -> None:
    rows = separate(planted(-4.0), "axis", "heldout", permutations=50, seed=0).to_pylist()
    assert rows[1]["auc"] < 0.05


def test_ranks_taken_once_give_the_bits_of_an_auc_for_every_shuffle() -> None:
    found = planted(1.0)
    is_default = found.kinds == "default"
    row = separate(found, "axis", "heldout", permutations=50, seed=3).to_pylist()[1]
    shuffles = permuted_labels(is_default, 50, 3, found.questions)
    null = [auc(found.values[labels], found.values[~labels])[1] for labels in shuffles]
    assert row["null_p95"] == np.quantile(null, 0.95)
    assert row["auc"] == auc(found.values[is_default], found.values[~is_default])[1]


def test_rollouts_that_lack_a_layer_are_refused() -> None:
    rows = [
        {"response_id": r, "kind": "role", "question_id": "q", "layer": layer, "projection": 0.0}
        for r, layer in (("a", 0), ("a", 1), ("b", 0))
    ]
    with pytest.raises(ValueError, match="3 rows do not fill 2 layers"):
        projected_rollouts(tables.from_rows(rows, "projections"))


def frame(tmp_path: Path) -> SimpleNamespace:
    return SimpleNamespace(
        log=[str(tmp_path / "logs" / "node.log")],
        rule="compute_axis",
        wildcards={"role": "pirate"},
        threads=1,
        params=Params(fromdict={"code": "c0de"}),
        config={"study": "s", "seed": 3},
        input=[],
        output=["vectors.parquet"],
    )


def test_a_node_logs_what_it_is_and_passes_its_provenance(tmp_path: Path) -> None:
    seen: dict[str, str] = {}

    def main(*, provenance: dict[str, str]) -> None:
        logging.getLogger("personae").info("working")
        seen.update(provenance)

    run_node(frame(tmp_path), main)
    text = (tmp_path / "logs" / "node.log").read_text()
    assert "compute_axis role=pirate" in text
    assert "working" in text
    assert (seen["rule"], seen["code_digest"], seen["seed"]) == ("compute_axis", "c0de", "3")
    assert seen["params"] == "{}"


def test_linear_algebra_uses_the_threads_of_the_job(tmp_path: Path) -> None:
    seen: list[int] = []

    def main(*, provenance: dict[str, str]) -> None:
        seen.extend(pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas")

    job = frame(tmp_path)
    with threadpool_limits(2):
        run_node(job, main)
    assert seen
    assert set(seen) == {job.threads}


@pytest.mark.parametrize("error", [PersonaeError("roles.names: no\nsuch role"), KeyError("x")])
def test_an_error_is_one_line_and_a_failure(
    tmp_path: Path, error: Exception, capsys: pytest.CaptureFixture[str]
) -> None:
    def main(*, provenance: dict[str, str]) -> None:
        raise error

    with pytest.raises(SystemExit) as exit_:
        run_node(frame(tmp_path), main)
    assert exit_.value.code == 1
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert said.startswith("compute_axis: ")
    assert "node.log" in said
