"""Steering along the axis: units, arms, and shares of speakers from planted labels."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from personae.base.errors import PersonaeError
from personae.data import tables
from personae.data.tables import from_matrix
from personae.rollouts.axis_steering import (
    AxisArm,
    axis_arms,
    introspective_rollouts,
    unit_vectors,
)
from personae.science.speaker_shares import ANY_PERSONA, share_table

QUESTIONS = [[f"q{i}", f"Question {i}?"] for i in range(5)]
ROLES = {f"role{i}": ["You are one.", "You are another."] for i in range(6)}
GAP, RESIDUAL = 2.0, 50.0


def directions() -> pa.Table:
    """The axis has the length of the persona gap; a random direction has it too."""
    vectors = np.asarray([[0.0, GAP, 0.0], [GAP, 0.0, 0.0]], dtype=np.float32)
    return pa.table(
        {
            "direction": ["axis", "random0"],
            "layer": pa.array([7, 7], pa.int16()),
            "norm": [GAP, GAP],
            "residual_norm": [RESIDUAL, RESIDUAL],
            "vector": from_matrix(vectors),
        }
    )


def arms(unit: str = "persona_gap", strengths: tuple[float, ...] = (-2.0, 0.0, 2.0)) -> list:
    return axis_arms(
        directions(), layer=7, unit_of_strength=unit, strengths=strengths, random_directions=1
    )


@pytest.mark.parametrize(("unit", "shift"), [("persona_gap", 2 * GAP), ("residual_norm", 100.0)])
def test_a_strength_is_a_shift_in_its_unit_and_is_given_in_both(unit: str, shift: float) -> None:
    away, none, toward = (arm for arm in arms(unit) if arm.direction == "axis")
    assert (away.shift, none.shift, toward.shift) == (-shift, 0.0, shift)
    assert toward.in_persona_gaps == pytest.approx(shift / GAP)
    assert toward.in_residual_norms == pytest.approx(shift / RESIDUAL)


def test_every_token_is_shifted_along_the_unit_vector_and_arms_share_seeds() -> None:
    every = arms()
    assert [(arm.direction, arm.strength) for arm in every] == [
        ("axis", -2.0), ("axis", 0.0), ("axis", 2.0), ("random0", -2.0), ("random0", 2.0),
    ]  # fmt: skip
    vectors = unit_vectors(directions(), every)
    np.testing.assert_allclose(vectors["axis@7"], [0.0, 1.0, 0.0])
    rollouts = introspective_rollouts(every, ROLES, QUESTIONS, samples=1, seed=3)
    assert len(rollouts) == 5 * 6 * 2 * 5 == len({rollout.id for rollout in rollouts})
    assert len({rollout.seed for rollout in rollouts}) == 6 * 2 * 5
    (steering,) = rollouts[0].interventions
    assert (steering.op, steering.layer, steering.positions) == ("add", 7, "all")
    assert steering.coefficient == -2 * GAP


def test_a_layer_without_directions_is_refused() -> None:
    with pytest.raises(PersonaeError, match=r"no direction 'axis' at layer 9; correct susc"):
        axis_arms(
            directions(), layer=9, unit_of_strength="persona_gap", strengths=[0.0],
            random_directions=0,
        )  # fmt: skip


def shares(effect: float, seed: int = 0, unscored: float = 0.0) -> dict[tuple, dict[str, Any]]:
    """Label answers by a coin whose bias moves with the shift away along the axis alone."""
    rng = np.random.default_rng(seed)
    answers, scores = [], []
    for rollout in introspective_rollouts(arms(), ROLES, QUESTIONS, samples=2, seed=0):
        cells = rollout.columns
        along = cells["strength"] if cells["direction"] == "axis" else 0.0
        spoken = rng.random() < 0.3 - effect * along / 4
        missing = rng.random() < unscored
        label = "human" if spoken else "assistant"
        answers.append({"response_id": rollout.id, **cells})
        shared = {"response_id": rollout.id, "target": "", "judge": "planted", "raw": ""}
        shared |= {"primary": True, "mode": "text"}
        scores += [
            shared
            | {"rubric": "role_label", "label": None if missing else label}
            | {"score": None if missing else float(spoken)}
            | {"reason": "parse_failure" if missing else None},
            shared | {"rubric": "coherence", "score": 80.0 - 10 * abs(cells["strength"])},
        ]
    responses = pa.Table.from_pylist(answers)
    table = share_table(responses, tables.from_rows(scores, "scores"), "persona_gap")
    return {
        (row["direction"], row["strength"], row["label"]): row for row in table.to_pylist()
    }  # fmt: skip


def test_a_planted_effect_gives_back_its_sign_and_size() -> None:
    found = shares(0.5)
    away, toward = (found["axis", s, ANY_PERSONA] for s in (-2.0, 2.0))
    assert away["change"] == pytest.approx(0.25, abs=0.12)
    assert away["change_low"] > 0 > toward["change_high"]
    assert away["p_greater"] < 0.05
    assert away["beyond_p_greater"] < 0.05
    assert toward["p_less"] < 0.05
    assert found["axis", -2.0, "human"]["share"] == away["share"]
    assert found["axis", -2.0, "assistant"]["share"] == pytest.approx(1 - away["share"])
    assert found["axis", -2.0, "mystical"]["share"] == 0.0
    assert away["coherence"] == pytest.approx(60.0)
    assert (away["clusters"], away["n"]) == (5, 120)


def test_no_effect_gives_none() -> None:
    rows = [shares(0.0, seed)["axis", -2.0, ANY_PERSONA] for seed in range(12)]
    assert abs(np.mean([row["change"] for row in rows])) < 0.06
    assert sum(row["p_greater"] < 0.05 and row["beyond_p_greater"] < 0.05 for row in rows) <= 1


def test_unscored_answers_are_counted_and_in_no_share() -> None:
    row = shares(0.0, unscored=0.25)["axis", 0.0, "human"]
    assert row["n"] + row["n_unscored"] > 100
    assert 10 < row["n_unscored"] < 50
    assert row["change"] == 0.0


def test_arms_are_records() -> None:
    assert AxisArm("axis", 7, 1.0, 0.1, 1.0, 2.0).vector == "axis@7"
