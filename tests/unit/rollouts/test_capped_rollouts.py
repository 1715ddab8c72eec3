"""Capping arms: their layers and floors, and the effect of capping."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from personae.base.errors import PersonaeError
from personae.data import tables
from personae.data.vector_stacks import vector_rows
from personae.rollouts.capped_rollouts import jailbreak_dialogues, role_suite
from personae.science.capping_arms import CappingArm, Floors, arm_vectors, parse_arms
from personae.science.capping_tradeoff import score_measures, tradeoff_table

AXIS = CappingArm("axis", "2-3", 25.0)


def floors() -> pa.Table:
    rows = [
        {
            "direction": "axis",
            "pool": pool,
            "reading": "floor",
            "orientation": "toward",
            "percentile": 25.0,
            "layer": layer,
            "floor": offset + layer,
            "n": 1,
            "default_mean": 0.0,
            "default_quantile": 0.5,
            "default_quantile_low": 0.4,
            "default_quantile_high": 0.6,
            "n_questions": 5,
            "default_below": 0.0,
            "roles_below": 0.0,
        }
        for pool, offset in (("roles", 10.0), ("default", 20.0))
        for layer in range(5)
    ]
    return tables.from_rows(rows, "floors")


def test_an_arm_caps_every_layer_of_its_band_at_that_layer_s_floor() -> None:
    caps = Floors(floors(), pool="roles", reading="floor").interventions(AXIS, "all")
    assert [(c.op, c.layer, c.floor, c.vector) for c in caps] == [
        ("cap", 2, 12.0, "axis@2"),
        ("cap", 3, 13.0, "axis@3"),
    ]


def test_the_uncapped_arm_comes_first_and_caps_nothing() -> None:
    first, second = parse_arms([AXIS._asdict()])
    assert Floors(floors(), pool="roles", reading="floor").interventions(first, "all") == ()
    assert second == AXIS
    assert first.columns()["percentile"] is None


def test_a_floor_that_was_not_calibrated_is_refused_by_name() -> None:
    with pytest.raises(PersonaeError, match=r"axis-l2-3-p30.*layer 2"):
        Floors(floors(), pool="roles", reading="floor").interventions(
            AXIS._replace(percentile=30.0), "all"
        )


def test_vectors_are_those_of_the_direction_at_the_layer() -> None:
    family = np.arange(20, dtype="f4").reshape(5, 4)
    parts = [
        pa.table({"direction": [name] * 5, **vector_rows(family * sign, range(5))})
        for name, sign in (("axis", 1), ("random0", -1))
    ]
    found = arm_vectors(pa.concat_tables(parts), [AXIS])
    assert set(found) == {"axis@2", "axis@3"}
    np.testing.assert_array_equal(found["axis@3"], family[3])


def test_arms_of_one_item_share_its_seed() -> None:
    capped = {CappingArm(): (), AXIS: ()}
    suite = role_suite(capped, {"pirate": ["You are a pirate."]}, [["q", "Why?"]], seed=0)
    assert len({r.seed for r in suite}) == 1
    assert len({r.id for r in suite}) == 2
    talks = jailbreak_dialogues(capped, [{"slug": "x", "system": None, "turns": ["a", "b"]}])
    assert len({d.seed_key for d in talks}) == 1


def test_change_is_capped_minus_uncapped() -> None:
    """The planted cap turns a fully played persona (3) into the Assistant (1)."""
    arms = parse_arms([AXIS._asdict()])
    responses, scores = [], []
    for arm, score in zip(arms, (3.0, 1.0), strict=True):
        for i in range(6):
            name = f"{arm.label}-{i}"
            responses.append(
                {
                    "response_id": name,
                    "suite": "roles",
                    "subject": "pirate",
                    "question_id": f"q{i}",
                    **arm.columns(),
                }
            )
            scores.append(
                {
                    "response_id": name,
                    "rubric": "role_adherence",
                    "target": "pirate",
                    "judge": "planted",
                    "primary": True,
                    "score": score,
                    "raw": "",
                    "reason": None,
                }
            )
    measured = score_measures(pa.Table.from_pylist(responses), tables.from_rows(scores, "scores"))
    judged = [m for m in measured if m.measure in ("roles_role_adherence", "roles_played")]
    rows = tradeoff_table(arms, judged, pool="roles", reading="ceiling", seed=0).to_pylist()
    found = {(r["measure"], r["direction"]): r for r in rows}
    assert found["roles_role_adherence", "axis"]["change"] == pytest.approx(-2.0)
    assert found["roles_played", "none"]["value"] == 1.0
    assert found["roles_played", "axis"]["change"] == pytest.approx(-1.0)
    assert found["roles_played", "none"]["change"] == 0.0
