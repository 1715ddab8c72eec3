"""Ways of steering: their scores, changes and nulls, and the arms themselves."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from personae.rollouts.compared_rollouts import Comparison, compared_arms, compared_rollouts
from personae.science.chosen_vectors import ChosenVector
from personae.science.steering_comparison import comparison_rows, contrast, score_rows

HIDDEN, LAYERS = 16, [0, 1, 2, 3]
RNG = np.random.default_rng(0)
VARIANTS = {
    name: RNG.normal(size=(4, HIDDEN)).astype(np.float32) * scale
    for name, scale in (("response_mean", 2.0), ("prompt_mean", 9.0), ("last_prompt", 0.3))
}
GIVEN = Comparison(2, VARIANTS, LAYERS, 1.5, "response")
OPTIONS = {
    "variants": list(VARIANTS),
    "positions": ["prompt", "all"],
    "arms": ["all_layers", "ablate", "pair"],
    "random_directions": 2,
    "seed": 1,
}
OTHER = ("formal", ChosenVector(3, RNG.normal(size=HIDDEN).astype(np.float32)))


def test_every_arm_has_the_same_dose() -> None:
    arms, vectors = compared_arms(GIVEN, OPTIONS, OTHER)
    length = np.linalg.norm(VARIANTS["response_mean"][2])
    for name in ("response_mean", "prompt_mean", "last_prompt", "at_all", "random00", "random01"):
        assert np.linalg.norm(vectors[name]) == pytest.approx(length, rel=1e-5)
    assert vectors["prompt_mean"] @ VARIANTS["prompt_mean"][2] > 0
    assert all(i.coefficient == 1.5 for arm in arms for i in arm.interventions if i.op == "add")
    assert arms[0].name == "none"
    assert arms[0].interventions == ()


def test_increments_add_up_to_the_vector() -> None:
    arms, vectors = compared_arms(GIVEN, OPTIONS, None)
    every = next(arm for arm in arms if arm.name == "all_layers")
    assert [i.layer for i in every.interventions] == LAYERS
    total = sum(vectors[i.vector] for i in every.interventions)
    assert total == pytest.approx(VARIANTS["response_mean"][-1], abs=1e-5)
    assert not [arm for arm in arms if arm.name.startswith("with_")]


def test_a_pair_acts_at_both_layers_and_ablation_at_all_tokens() -> None:
    arms, _ = compared_arms(GIVEN, OPTIONS, OTHER)
    named = {arm.name: arm for arm in arms}
    assert [i.layer for i in named["with_formal"].interventions] == [2, 3]
    (held,) = named["ablate"].interventions
    assert (held.op, held.layer, held.positions) == ("ablate", 2, "all")
    assert named["at_prompt"].interventions[0].positions == "prompt"


def test_arms_share_seeds_and_have_names_of_their_own() -> None:
    arms, _ = compared_arms(GIVEN, OPTIONS, OTHER)
    made = compared_rollouts("t", GIVEN, arms, [["q0", "?"], ["q1", "!"]], samples=2, seed=1)
    assert len({r.id for r in made}) == len(made) == 4 * len(arms)
    assert len({r.seed for r in made}) == 4


def scored(missing: bool = False) -> pd.DataFrame:
    """Return scores: the main arm adds 20 points to the trait and takes 5 of coherence."""
    effect = {"none": 0.0, "response_mean": 20.0, "random00": 1.0, "random01": -1.0}
    responses, scores = [], []
    for arm, size in effect.items():
        for index in range(6):
            name = f"{arm}{index}"
            responses.append(
                {"response_id": name, "trait": "t", "arm": arm, "question_id": f"q{index}"}
            )
            lost = missing and arm == "response_mean" and index == 0
            for rubric, target, value in (
                ("trait", "t", 30 + index + size),
                ("coherence", "", 90 + index - 0.25 * size),
            ):
                score = math.nan if lost else value
                scores.append(
                    {"response_id": name, "rubric": rubric, "target": target, "score": score}
                )
    closed = [
        {"trait": "t", "arm": arm, "item": f"i{i}", "correct": float(i < right)}
        for arm, right in (("none", 4), ("response_mean", 3))
        for i in range(5)
    ]
    rows = score_rows(pd.DataFrame(responses), pd.DataFrame(scores), pd.DataFrame(closed))
    return pd.DataFrame(rows)


def test_changes_are_paired_by_question() -> None:
    found = pd.DataFrame(comparison_rows(scored())).set_index(["arm", "measured"])
    main = found.loc[("response_mean", "t")]
    # The questions differ, but all of them change by the same: the interval has no width.
    assert (main.change, main.change_low, main.change_high) == pytest.approx((20.0, 20.0, 20.0))
    assert main["mean"] == pytest.approx(52.5)
    assert found.loc[("response_mean", "coherence")].change == pytest.approx(-5.0)
    assert found.loc[("response_mean", "closed_accuracy")].change == pytest.approx(-0.2)
    assert (main.n_random, main.random_p95) == (2, pytest.approx(0.9))


def test_an_unscored_response_is_counted_and_left_out_of_its_pair() -> None:
    found = pd.DataFrame(comparison_rows(scored(missing=True))).set_index(["arm", "measured"])
    main = found.loc[("response_mean", "t")]
    assert (main.n, main.n_unscored) == (5, 1)
    assert main.change == pytest.approx(20.0)


def test_arms_are_contrasted_on_the_steered_trait() -> None:
    values = contrast(scored(), "response_mean", "random00")
    assert values.to_numpy() == pytest.approx(np.full(6, 19.0))
    assert contrast(scored(), "response_mean", "prompt_mean").empty
