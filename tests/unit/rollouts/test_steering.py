"""Steering arms, their summary, and the choice of a layer."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from personae.data import tables
from personae.rollouts.steered_rollouts import named_vectors, steering_rollouts, sweep_settings
from personae.science.steering import choose_setting, effect_table
from personae.science.steering_arms import Setting, chosen_layer

QUESTIONS = [["q0", "Why?"], ["q1", "How?"]]
# layer -> (trait score, coherence); the unsteered arm scores 10.
PLANTED = {4: (30.0, 90.0), 8: (80.0, 70.0), 12: (95.0, 20.0)}


def rollouts() -> list:
    settings = sweep_settings([4, 8, 12], [0.0, 2.0])
    return steering_rollouts("t", settings, QUESTIONS, samples=1, positions="all", seed=0)


def planted(unscored: frozenset[str] = frozenset()) -> tuple[pa.Table, pa.Table]:
    responses, scores = [], []
    for rollout in rollouts():
        cells = rollout.columns
        responses.append({"response_id": rollout.id, **cells})
        trait, coherence = PLANTED[cells["layer"]] if cells["coefficient"] else (10.0, 95.0)
        for rubric, score in (("trait", trait), ("coherence", coherence)):
            missing = rollout.id in unscored
            scores.append(
                {
                    "response_id": rollout.id,
                    "rubric": rubric,
                    "target": "t",
                    "judge": "planted",
                    "primary": True,
                    "score": None if missing else score,
                    "raw": "",
                    "reason": "refusal" if missing else None,
                }
            )
    return pa.Table.from_pylist(responses), tables.from_rows(scores, "scores")


def test_the_unsteered_arm_is_there_once_and_shares_seeds() -> None:
    made = rollouts()
    zero = [r for r in made if r.columns["coefficient"] == 0]
    assert len(zero) == len(QUESTIONS)
    assert all(r.interventions[0].coefficient == 0 for r in zero)
    by_question = {r.columns["question_id"]: r.seed for r in zero}
    assert all(r.seed == by_question[r.columns["question_id"]] for r in made)
    assert len({r.id for r in made}) == len(made)


@pytest.mark.parametrize("floor", [50, 70])
def test_the_layer_with_the_largest_coherent_gain_wins(floor: float) -> None:
    """A setting whose coherence is the floor itself is coherent."""
    effects = effect_table(*planted(), "t", seed=0)
    choice = choose_setting(effects, "planted", coherence_floor=floor)
    assert choice.setting == Setting("trait", 8, 2.0)
    assert choice.gain == pytest.approx(70.0)
    assert choice.coherent


def test_without_a_coherent_arm_the_most_coherent_is_taken_and_marked() -> None:
    effects = effect_table(*planted(), "t", seed=0)
    choice = choose_setting(effects, "planted", coherence_floor=99)
    assert choice.setting.layer == 4
    assert not choice.coherent


def test_unscored_responses_are_counted_and_bounded() -> None:
    missing = frozenset({rollouts()[0].id})
    effects = effect_table(*planted(missing), "t", seed=0).to_pylist()
    row = next(r for r in effects if r["coefficient"] == 0 and r["rubric"] == "trait")
    assert (row["n"], row["n_unscored"]) == (1, 1)
    assert row["mean"] == pytest.approx(10.0)
    assert (row["if_lowest"], row["if_highest"]) == (pytest.approx(5.0), pytest.approx(55.0))


def test_exactly_one_layer_is_chosen() -> None:
    effects = effect_table(*planted(), "t", seed=0)
    with pytest.raises(ValueError, match="0 layers"):
        chosen_layer(effects)


def test_vectors_are_taken_at_the_arm_s_own_layer() -> None:
    family = np.arange(12, dtype=float).reshape(3, 4)
    found = named_vectors([Setting("trait", 8, 2.0)], {"trait": family}, [4, 8, 12])
    np.testing.assert_array_equal(found["trait@8"], family[1].astype("f4"))
