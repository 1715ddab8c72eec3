"""Agreement of judges with each other, on planted opinions."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from personae.judging.judge_pairs import (
    Opinion,
    Pairs,
    add_pairs,
    labelled_opinions,
    pair_confusion_rows,
    pair_rows,
)

from .test_measuring import row


def said(judge: str, i: int, score: float | None, **more: Any) -> Opinion:
    """Return an opinion on answer ``i``; four answers share a question."""
    plain = Opinion(judge, "trait", (f"r{i}",), f"q{i // 4}", score, None, "text")
    return plain._replace(**more)


def paired(*opinions: Opinion) -> Pairs:
    """Return the opinions of every two judges."""
    pairs: Pairs = {}
    add_pairs(opinions, pairs)
    return pairs


def test_pairs_count_what_one_of_them_left_unscored() -> None:
    left = [row("a", i, 0, float(i)) for i in range(20)]
    right = [row("b", i, 0, None if i < 5 else 2.0 * i) for i in range(18)]
    (pair,) = pair_rows(paired(*labelled_opinions(left + right)), seed=0)
    assert (pair["judge"], pair["other"], pair["n"], pair["n_unscored"]) == ("a", "b", 13, 5)
    assert pair["spearman"] == pytest.approx(1.0)
    assert pair["arm"] == "labelled_set"


def test_levels_are_those_that_both_judges_can_tell() -> None:
    roles = [said("gpt", i, float(i % 4), rubric="role_adherence") for i in range(40)]
    offline = [o._replace(judge="likelihood", mode="offline", score=max(1.0, o.score or 0.0))
               for o in roles]  # fmt: skip
    pairs = paired(*roles, *offline)
    (pair,) = pair_rows(pairs, seed=0)
    assert (pair["kappa"], pair["n"]) == (1.0, 40)
    assert {(r["label"], r["predicted"]) for r in pair_confusion_rows(pairs)} == {
        (level, level) for level in "123"
    }


def test_each_judge_ranks_what_the_other_finds_high() -> None:
    """One is a shifted copy of the other: ranks agree, levels do not."""
    left = [said("a", i, float(i)) for i in range(40, 60)]
    right = [said("b", i, i + 5.0) for i in range(40, 60)]
    (pair,) = pair_rows(paired(*left, *right), seed=0)
    assert pair["auc"] == pair["auc_other"] == 1.0
    assert pair["kappa"] < 0.6
    turned = [o._replace(score=100.0 - (o.score or 0.0)) for o in right]
    (pair,) = pair_rows(paired(*left, *turned), seed=0)
    assert pair["auc"] == pair["auc_other"] == 0.0
    assert pair["auc_low"] <= pair["auc"] <= pair["auc_high"]
    (pair,) = pair_rows(paired(*left, *(o._replace(score=90.0) for o in right)), seed=0)
    assert math.isnan(pair["auc"])
    assert pair["auc_other"] == 0.5


def test_the_interval_of_agreement_is_over_questions() -> None:
    rng = np.random.default_rng(0)
    truth = rng.uniform(0, 100, 60)
    opinions = [
        said(judge, i, float(np.clip(truth[i // 10] + rng.normal(0, 20), 0, 100)),
             question=f"q{i // 10}")
        for judge in ("a", "b")
        for i in range(600)
    ]  # fmt: skip
    (clustered,) = pair_rows(paired(*opinions), seed=0)
    alone = (o._replace(question=o.item[0]) for o in opinions)
    (single,) = pair_rows(paired(*alone), seed=0)
    widths = [p["kappa_high"] - p["kappa_low"] for p in (clustered, single)]
    assert clustered["kappa"] == single["kappa"]
    assert widths[0] > 1.5 * widths[1] > 0


def test_judges_of_a_sample_are_compared_on_the_sample_alone() -> None:
    everything = [said(judge, i, float(i)) for judge in ("a", "b") for i in range(12)]
    sampled = [said("c", i, float(i)) for i in (1, 3, 5, 7)]
    found = {(p["judge"], p["other"]): p["n"] for p in pair_rows(paired(*everything, *sampled), 0)}
    assert found == {("a", "b"): 12, ("a", "c"): 4, ("b", "c"): 4}


def test_confusion_of_judges_keeps_what_is_unscored() -> None:
    left = [said("a", 0, 80.0), said("a", 1, None), said("a", 2, 10.0)]
    right = [said("b", 0, 10.0), said("b", 1, 60.0), said("b", 2, None)]
    rows = pair_confusion_rows(paired(*left, *right), "roles")
    assert {(r["predicted"], r["label"]): r["n"] for r in rows} == {
        ("high", "low"): 1,
        ("unscored", "high"): 1,
        ("low", "unscored"): 1,
    }
    assert {(r["judge"], r["against"], r["arm"]) for r in rows} == {("a", "b", "roles")}


def test_words_are_compared_as_words() -> None:
    left = [said("a", i, 1.0, rubric="role_label", word="human") for i in range(8)]
    right = [
        said("b", i, 1.0, rubric="role_label", word="human" if i % 2 else "mystical")
        for i in range(8)
    ]
    rows = pair_confusion_rows(paired(*left, *right))
    assert {(r["predicted"], r["label"]): r["n"] for r in rows} == {
        ("human", "human"): 4,
        ("human", "mystical"): 4,
    }


def test_nothing_that_both_scored_has_no_agreement() -> None:
    (pair,) = pair_rows(paired(said("a", 0, None), said("b", 0, 3.0)), seed=0)
    assert (pair["n"], pair["n_unscored"]) == (0, 1)
    assert all(math.isnan(pair[name]) for name in ("auc", "auc_other", "spearman", "kappa"))
