"""Shifts, correlations and defences of fine-tuning, with planted answers."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from personae.data.vector_stacks import Stack
from personae.science.chosen_vectors import ChosenVector
from personae.science.finetuning_shift import (
    BASE,
    SHUFFLES,
    Answered,
    correlation_rows,
    shift_rows,
)
from personae.science.statistics import pearson
from personae.science.training_defences import defence_rows, gather_arms

HIDDEN, LAYER = 64, 7
TRAITS = ("poetic", "formal")
QUESTIONS = ("q0", "q1", "q2", "q3")
MOVED = {"poetic_normal_plain": 0.0, "poetic_strong_plain": 2.0}
"""Shift along the poetic vector, in its lengths; the score moves 10 points a length."""


def directions() -> dict[str, ChosenVector]:
    rng = np.random.default_rng(0)
    return {t: ChosenVector(LAYER, rng.normal(size=HIDDEN).astype(np.float32)) for t in TRAITS}


def answered() -> Answered:
    rng, vectors = np.random.default_rng(1), directions()
    rows, streams, scores = [], {}, {}
    for adapter in (BASE, *MOVED):
        for trait in TRAITS:
            for question in QUESTIONS:
                name = f"{adapter}-{trait}-{question}"
                start = np.random.default_rng([2, QUESTIONS.index(question)]).normal(size=HIDDEN)
                length = MOVED.get(adapter, 0.0)
                streams[name] = start + length * vectors["poetic"].vector
                follows = trait == "poetic"
                scores[name] = 20.0 + 10.0 * length * follows + rng.normal(0, 0.1)
                rows.append(
                    {
                        "response_id": name,
                        "adapter": adapter,
                        "trained": "poetic",
                        "level": adapter.split("_")[1] if "_" in adapter else "",
                        "arm": "base" if adapter == BASE else "plain",
                        "coefficient": 0.0,
                        "trait": trait,
                        "question_id": question,
                        "sample": 0,
                    }
                )
    vectors_ = np.stack([[np.zeros(HIDDEN), v] for v in streams.values()]).astype(np.float32)
    return Answered(pd.DataFrame(rows), Stack(list(streams), [3, LAYER], vectors_), scores)


def shifts(**changes: float) -> pd.DataFrame:
    planted = answered()
    planted.scores.update(changes)  # type: ignore[attr-defined]
    return pd.DataFrame(shift_rows(planted, directions(), "judge", 1))


def test_the_planted_shift_and_change_come_back_in_vector_lengths() -> None:
    rows = shifts()
    along = rows[rows.vector == "trait"].set_index(["adapter", "trait"])
    assert along.loc[("poetic_strong_plain", "poetic"), "shift"] == pytest.approx(2.0, abs=1e-4)
    assert along.loc[("poetic_strong_plain", "poetic"), "change"] == pytest.approx(20, abs=0.3)
    assert along.loc[("poetic_normal_plain", "poetic"), "shift"] == pytest.approx(0.0, abs=1e-6)
    # Another trait's vector is nearly orthogonal to the planted one.
    assert abs(along.loc[("poetic_strong_plain", "formal"), "shift"]) < 0.5
    low, high = along.loc[("poetic_strong_plain", "poetic"), ["change_low", "change_high"]]
    assert low <= 20.1
    assert high >= 19.9


def test_shuffled_vectors_are_controls_of_the_same_length() -> None:
    rows = shifts()
    strong = rows[(rows.adapter == "poetic_strong_plain") & (rows.trait == "poetic")]
    shuffled = strong[strong.vector != "trait"]["shift"]
    assert len(shuffled) == SHUFFLES
    assert shuffled.abs().max() < 1.0 < strong[strong.vector == "trait"]["shift"].item()


def test_an_unscored_response_is_counted_and_no_number() -> None:
    rows = shifts(**{"poetic_strong_plain-poetic-q0": math.nan})
    row = rows[(rows.adapter == "poetic_strong_plain") & (rows.trait == "poetic")].iloc[0]
    assert (row.n, row.n_unscored) == (3, 1)
    assert row.change == pytest.approx(20, abs=0.5)


def test_the_correlation_is_that_of_the_planted_pairs() -> None:
    found = pd.DataFrame(correlation_rows(shifts(), 1)).set_index("pairs")
    assert found.loc["all", "r"] > 0.95
    assert found.loc["all", "n"] == 4
    assert found.loc["own trait", "n"] == 2
    # Two adapters can be exchanged in two ways.
    assert found.loc["all", "p_value"] == pytest.approx(0.5)


def planted_table(effect: float, n: int, seed: int) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    moved = rng.normal(size=(n, 2))
    changed = effect * moved + rng.normal(size=(n, 2))
    return pd.DataFrame(
        [
            {
                "adapter": f"a{i}",
                "trait": trait,
                "trained": "poetic",
                "arm": "plain",
                "vector": vector,
                "shift": moved[i, j] if vector == "trait" else rng.normal(),
                "change": changed[i, j],
            }
            for i in range(n)
            for j, trait in enumerate(TRAITS)
            for vector in ("trait", "shuffled00")
        ]
    )


def test_one_adapter_has_a_correlation_and_no_interval() -> None:
    one = planted_table(1.0, 6, 0).query("adapter == 'a0'")
    assert one.adapter.nunique() == 1
    for row in correlation_rows(one, 1):
        assert row["low"] is None
        assert row["high"] is None
        assert row["p_value"] is None


def test_the_p_value_is_small_for_an_effect_and_uniform_without_one() -> None:
    def p(effect: float, seed: int) -> float:
        rows = correlation_rows(planted_table(effect, 6, seed), 1)
        return float(next(row for row in rows if row["pairs"] == "all")["p_value"])

    assert p(5.0, 0) <= 0.01
    found = [p(0.0, seed) for seed in range(40)]
    assert sum(value <= 0.05 for value in found) <= 6
    assert 0.3 < np.mean(found) < 0.7


def test_pearson_of_a_constant_is_undefined() -> None:
    assert math.isnan(pearson(np.ones(4), np.arange(4.0)))
    assert pearson(np.arange(4.0), np.arange(4.0)) == pytest.approx(1.0)


# Trait score, coherence and capability of every arm; steering afterwards costs 1 point of coherence
# for each point of the trait, preventative steering half of that.
ARMS = {
    ("base", "base", 0.0): (20.0, 90.0, 0.8),
    ("strong", "plain", 0.0): (80.0, 90.0, 0.8),
    ("strong", "plain", -1.0): (60.0, 70.0, 0.6),
    ("strong", "plain", -2.0): (40.0, 50.0, 0.4),
    ("strong", "preventative", 0.0): (50.0, 75.0, 0.8),
}


def planted_defences(target: float = 50.0) -> pd.DataFrame:
    rows, traits, coherence, closed = [], {}, {}, []
    for (level, arm, coefficient), (trait, coherent, right) in ARMS.items():
        adapter = level if level == "base" else f"poetic_{level}_{arm}"
        for question in range(6):
            name = f"{adapter}{coefficient}{question}"
            score = target if arm == "preventative" else trait
            traits[name], coherence[name] = score + question - 2.5, coherent + question - 2.5
            rows.append(
                {
                    "response_id": name,
                    "adapter": adapter,
                    "trained": "poetic",
                    "trait": "poetic",
                    "level": level,
                    "arm": arm,
                    "coefficient": coefficient,
                    "question_id": f"q{question}",
                }
            )
        closed += [
            {
                "adapter": adapter,
                "coefficient": coefficient,
                "item": i,
                "correct": float(i < 10 * right),
            }
            for i in range(10)
        ]
    arms = gather_arms(pd.DataFrame(rows), traits, coherence, pd.DataFrame(closed))
    return pd.DataFrame(defence_rows("poetic", arms, "judge")).set_index(["arm", "measure"])


def test_a_defence_is_compared_at_its_own_trait_score() -> None:
    found = planted_defences()
    row = found.loc[("preventative", "coherence")]
    # Half way between the coefficients -1 and -2, steering afterwards has a coherence of 60.
    assert row.matched == pytest.approx(60.0)
    assert row.difference == pytest.approx(15.0)
    assert row.difference_low > 10
    assert bool(row.in_reach)
    assert found.loc[("preventative", "closed_accuracy")].difference == pytest.approx(0.3)
    assert pd.isna(found.loc[("base", "coherence")].matched)


def test_the_trait_score_of_a_defence_is_compared_with_plain_training() -> None:
    row = planted_defences().loc[("preventative", "trait")]
    assert (row.matched, row.difference) == pytest.approx((80.0, -30.0))
    assert row.difference_high < -25


def test_a_trait_score_that_no_coefficient_reaches_is_marked() -> None:
    row = planted_defences(target=10.0).loc[("preventative", "coherence")]
    assert row.matched == pytest.approx(50.0)
    assert not row.in_reach
