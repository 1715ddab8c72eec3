"""Agreement, biases and unscored responses, on planted scores."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score

from personae.data import tables
from personae.data.judge_scores import judged_members, summary_rows
from personae.judging.agreement import agreement_rows, confusion_rows, kappa_interval
from personae.judging.judge_bias import bias_rows
from personae.science.resampling import Bootstrap
from personae.science.steering import effect_table

PLAN = Bootstrap(1000, 0)


def row(judge: str, i: int, label: float, score: float | None, **more: Any) -> dict[str, Any]:
    """Return a row of ``labelled_scores``."""
    return {
        "item_id": f"i{i}", "judge": judge, "rubric": "trait", "target": "poetic",
        "question": f"q{i // 4}", "length": 100, "label": label, "label_name": None,
        "raw": math.nan if score is None else score, "score": score, "score_name": None,
        "fold": 0, "reason": None if score is not None else "parse_failure", "mode": "text",
        **more,
    }  # fmt: skip


def test_kappa_has_an_interval_that_holds_the_truth() -> None:
    rng = np.random.default_rng(0)
    left = rng.choice(["a", "b", "c"], 400)
    agree = rng.random(400) < 0.7
    right = np.where(agree, left, rng.choice(["a", "b", "c"], 400))
    pairs = list(zip(left.tolist(), right.tolist(), strict=True))
    found = kappa_interval(pairs, [f"q{i // 4}" for i in range(400)], PLAN)
    assert found.estimate == pytest.approx(cohen_kappa_score(left, right))
    assert found.low < 0.7 < found.high
    assert found.high - found.low < 0.2
    alone = kappa_interval(pairs, ["q"] * 400, PLAN)
    assert math.isnan(alone.low)
    assert alone.estimate == found.estimate


def test_levels_of_roles_are_told_apart_where_the_judge_can() -> None:
    rows = [row("gpt", i, i % 4, float(i % 4), rubric="role_adherence") for i in range(40)]
    offline = [{**r, "judge": "likelihood", "mode": "offline", "score": max(1.0, r["score"])}
               for r in rows]  # fmt: skip
    levels = {(r["judge"], r["label"], r["predicted"]) for r in confusion_rows(rows + offline)}
    assert {(j, a) for j, a, _ in levels} == {
        *(("gpt", str(level)) for level in range(4)),
        *(("likelihood", str(level)) for level in (1, 2, 3)),
    }
    assert all(label == predicted for _, label, predicted in levels)


def test_words_are_compared_as_words() -> None:
    names = ["assistant", "human", "nonhuman", "mystical"]
    rows = [
        row("gpt", i, float(i % 4 > 0), 1.0, rubric="role_label", label_name=names[i % 4],
            score_name="human")
        for i in range(40)
    ]  # fmt: skip
    (one, everything) = agreement_rows(rows, seed=0)
    assert one["accuracy"] == everything["accuracy"] == 0.25
    assert one["kappa"] == pytest.approx(0.0)
    assert {(r["label"], r["predicted"]) for r in confusion_rows(rows)} == {
        (name, "human") for name in names
    }


def test_accuracy_is_bounded_by_what_is_unscored() -> None:
    rows = [row("gpt", i, 90, 80.0 if i < 6 else 10.0) for i in range(8)]
    found = agreement_rows([*rows, row("gpt", 8, 90, None), row("gpt", 9, 90, None)], seed=0)[0]
    assert (found["n"], found["n_unscored"], found["accuracy"]) == (8, 2, 0.75)
    assert (found["accuracy_if_lowest"], found["accuracy_if_highest"]) == (0.6, 0.8)


def test_a_judge_that_likes_length_is_found_out_and_an_honest_one_is_not() -> None:
    rng = np.random.default_rng(1)
    fair, biased = [], []
    for i in range(200):
        label, length = rng.uniform(10, 80), int(rng.integers(20, 400))
        # Long answers deserve more here: that alone is no bias.
        label += length / 40
        fair.append(row("fair", i, label, label + rng.normal(0, 3), length=length))
        biased.append(row("biased", i, label, label + length / 30, length=length))
    found = {r["judge"]: r for r in bias_rows(fair + biased, [], [], seed=0)}
    assert found["biased"]["low"] > 0.9
    assert found["fair"]["low"] < 0 < found["fair"]["high"]


def test_the_order_effect_is_a_share_of_the_scale() -> None:
    rows = [row("gpt", i, 50, 60.0) for i in range(12)] + [row("gpt", 99, 50, None)]
    turned = [row("gpt", i, 50, 55.0) for i in range(12)] + [row("gpt", 99, 50, 10.0)]
    found = {r["bias"]: r for r in bias_rows(rows, turned, [], seed=0)}
    assert found["order"]["value"] == pytest.approx(-0.05)
    assert (found["order"]["n"], found["length"]["n"]) == (12, 12)


def scores(rows: list[tuple[str, str, float | None]]) -> Any:
    """Return a table of scores from (response, judge, score)."""
    return tables.from_rows(
        [
            {"response_id": r, "rubric": rubric, "target": "t", "judge": j, "primary": j == "a",
             "score": s, "raw": "", "reason": None if s is not None else "refusal", "mode": "text"}
            for r, j, s in rows
            for rubric in ("trait", "coherence")
        ],
        "scores",
    )  # fmt: skip


def test_the_summary_bounds_what_is_missing() -> None:
    table = scores([("r0", "a", 40.0), ("r1", "a", 60.0), ("r2", "a", None), ("r3", "a", None)])
    found = {r["rubric"]: r for r in summary_rows([table], "roles")}["trait"]
    assert (found["n"], found["n_unscored"], found["reasons"]) == (2, 2, "refusal 2")
    assert (found["mean"], found["if_lowest"], found["if_highest"]) == (50.0, 25.0, 75.0)
    nothing = {r["rubric"]: r for r in summary_rows([scores([("r", "a", None)])], "x")}["trait"]
    assert math.isnan(nothing["mean"])
    assert (nothing["if_lowest"], nothing["if_highest"]) == (0.0, 100.0)


def test_what_a_judge_on_a_sample_never_saw_is_not_unscored() -> None:
    arms = {"x": [{"response_id": "r0"}, {"response_id": "r1"}], "y": [{"response_id": "r2"}]}
    assert judged_members(arms, {"r1": 3.0}) == {"x": [{"response_id": "r1"}]}
    responses = tables.from_rows(
        [
            {"response_id": f"r{i}", "direction": "trait", "layer": 3, "coefficient": c,
             "positions": "response", "question_id": f"q{i % 4}", "trait": "t"}
            for i, c in enumerate([0.0] * 8 + [2.0] * 8)
        ],
        "steered_responses",
    )  # fmt: skip
    judged = [(f"r{i}", "a", 50.0) for i in range(16)]
    sampled = [(f"r{i}", "b", 70.0 if i else None) for i in range(6)]
    effects = effect_table(responses, scores(judged + sampled), "t", 0).to_pylist()
    found = {(e["judge"], e["coefficient"]): (e["n"], e["n_unscored"]) for e in effects}
    assert found == {("a", 0.0): (8, 0), ("a", 2.0): (8, 0), ("b", 0.0): (5, 1)}
