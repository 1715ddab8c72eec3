"""Mappings from raw scores to the papers' scales, and how agreement is measured."""

from __future__ import annotations

import math

import numpy as np
import pytest

from personae.judging.agreement import agreement_rows, confusion_rows, kappa_interval
from personae.judging.calibration import (
    POOLED,
    Calibration,
    ScoreMapping,
    cross_validated,
    fit,
    folds,
)
from personae.judging.judge_types import role_rubric, trait_rubric
from personae.science.resampling import Bootstrap

TRAIT = trait_rubric(
    {
        "slug": "poetic",
        "name": "poetic",
        "antonym": "plain",
        "description": "Verse.",
        "positive": "Rhyme.",
        "negative": "Do not rhyme.",
        "rubric": "0 to 100.",
    }
)


def test_a_logistic_mapping_recovers_a_planted_curve() -> None:
    raw = np.linspace(-3, 3, 200)
    labels = 100 / (1 + np.exp(-(2.0 * raw - 1.0)))
    mapped = fit("trait", raw, labels)
    assert mapped.apply(0.5) == pytest.approx(50.0, abs=2.0)
    assert mapped.apply(-3.0) < 5.0
    assert mapped.apply(3.0) > 95.0


def test_role_cuts_separate_planted_levels_and_never_give_zero() -> None:
    raw = [-2.0, -1.5, -1.0, 0.0, 0.2, 0.4, 2.0, 2.5, 3.0]
    labels = [0, 1, 1, 2, 2, 2, 3, 3, 3]
    mapped = fit("role_adherence", raw, labels)
    assert [mapped.apply(x) for x in raw] == [1, 1, 1, 2, 2, 2, 3, 3, 3]


def test_overlapping_levels_are_each_given_as_often_as_people_gave_them() -> None:
    rng = np.random.default_rng(0)
    labels = np.repeat([1.0, 2.0, 3.0], [60, 15, 45])
    raw = labels + rng.normal(0, 1.5, len(labels))
    mapped = fit("role_adherence", raw, labels)
    given = [mapped.apply(x) for x in raw]
    assert [given.count(level) for level in (1.0, 2.0, 3.0)] == [60, 15, 45]


def test_a_level_that_nobody_gave_is_not_given() -> None:
    for labels, levels in (([1, 1, 3, 3], {1.0, 3.0}), ([1, 1, 2, 2], {1.0, 2.0})):
        mapped = fit("role_adherence", [0.0, 0.1, 0.9, 1.0], labels)
        assert {mapped.apply(x) for x in (0.0, 0.1, 0.9, 1.0)} == levels


def test_a_raw_value_on_a_cut_belongs_to_the_higher_level() -> None:
    mapped = ScoreMapping("cuts", (-1.0, 0.5), 6)
    assert [mapped.apply(raw) for raw in (-1.5, -1.0, 0.5)] == [1, 2, 3]


def test_a_separable_labelled_set_gives_a_finite_slope() -> None:
    mapped = fit("trait", [-1.0, -0.9, 0.9, 1.0], [0, 0, 100, 100])
    assert all(math.isfinite(p) for p in mapped.parameters)
    assert mapped.apply(1e9) == pytest.approx(100.0)


def test_a_trait_without_labels_takes_the_pooled_mapping() -> None:
    own, pooled = ScoreMapping("logistic", (1.0, 0.0), 5), ScoreMapping("logistic", (0.0, 9.0), 50)
    mappings = {("j", "trait", "poetic"): own, ("j", "trait", POOLED): pooled}
    calibration = Calibration.from_table(Calibration(mappings).to_table())
    assert calibration.score("j", TRAIT, 0.0) == pytest.approx(50.0)
    del mappings["j", "trait", "poetic"]
    assert Calibration(mappings).score("j", TRAIT, 0.0) > 99.0
    with pytest.raises(ValueError, match="not calibrated"):
        calibration.score("j", role_rubric("cat", "A cat."), 0.0)


def test_answers_to_one_question_share_a_fold_and_are_scored_without_it() -> None:
    questions = ["a", "a", "b", "b", "c", "c", "d", "d"]
    fold = folds(questions, 4)
    assert fold.tolist() == [0, 0, 1, 1, 2, 2, 3, 3]
    raw, labels = [-1.0, 1.0] * 4, [0.0, 100.0] * 4
    honest = cross_validated("trait", raw, labels, fold)
    # Question a alone is labelled the wrong way round: its own labels must not help it.
    turned = cross_validated("trait", raw, [100.0, 0.0, *labels[2:]], fold)
    assert turned[:2] == pytest.approx(honest[:2], abs=1e-6)
    assert cross_validated("trait", [math.nan, *raw[1:]], labels, fold)[0] is None


def record(label: float, raw: float, score: float | None, question: str) -> dict:
    return {
        "judge": "j",
        "rubric": "trait",
        "target": "poetic",
        "label": label,
        "raw": raw,
        "score": score,
        "question": question,
    }


def test_agreement_counts_the_unscored_and_never_scores_them() -> None:
    rows = [record(90, 2.0, 80.0, "a"), record(10, -2.0, 20.0, "a"), record(80, 1.0, 70.0, "b")]
    rows += [record(5, -1.0, 10.0, "b"), record(95, math.nan, None, "b")]
    found = {row["target"]: row for row in agreement_rows(rows, seed=0)}
    assert set(found) == {"poetic", POOLED}
    assert (found["poetic"]["n"], found["poetic"]["n_unscored"]) == (4, 1)
    assert found["poetic"]["auc"] == 1.0
    assert found["poetic"]["kappa"] == 1.0
    counts = {(r["label"], r["predicted"]): r["n"] for r in confusion_rows(rows)}
    assert counts == {("high", "high"): 2, ("high", "unscored"): 1, ("low", "low"): 2}


def test_kappa_is_zero_at_chance_and_undefined_without_variety() -> None:
    plan, chance = Bootstrap(100, 0), [("a", "a"), ("a", "b"), ("b", "a"), ("b", "b")]
    assert kappa_interval(chance, list("wxyz"), plan).estimate == pytest.approx(0.0)
    assert math.isnan(kappa_interval([("a", "a")] * 3, list("xyz"), plan).estimate)
