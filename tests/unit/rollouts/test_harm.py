"""The harm experiment: arms, controls, and rates with a planted effect."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from personae.data import tables
from personae.data.tables import from_matrix
from personae.rollouts.probe_rollouts import probe_rollouts
from personae.science.capping_floors import Pools, floor_table
from personae.science.harm_arms import ArmInterventions, HarmArm, parse_harm_arms
from personae.science.harm_rates import rate_table

LAYERS, HIDDEN = range(4), 3
PROBES = [
    {"id": f"{kind}_{i}", "category": kind, "text": f"Do {kind} {i}?"}
    for kind in ("theft", "fraud", "hate")
    for i in range(4)
]
PERSONAS = {f"p{i}": f"You are demon {i}." for i in range(6)}
ARMS = [
    *(
        {"contrast": "axis", "band": band, "percentile": 25.0, "reading": reading}
        for band in ("1-3", "2-2")
        for reading in ("ceiling", "floor")
    ),
    {"contrast": "random0", "band": "1-3", "percentile": 25.0, "reading": "ceiling"},
    {"contrast": "wrong_sign", "band": "1-3", "percentile": 25.0, "reading": "ceiling"},
    {"contrast": "single_layer", "band": "2-2", "percentile": 25.0, "reading": "ceiling"},
    {"contrast": "steering", "strength": 1.0},
    {"contrast": "steering_random0", "strength": 1.0},
]


@pytest.fixture
def built() -> ArmInterventions:
    """Floors calibrated on projections 0 to 100, so that percentiles are their own values."""
    vectors = np.eye(HIDDEN)[[0] * 4 + [1] * 4] * 2.0
    directions = pa.table(
        {
            "direction": ["axis"] * 4 + ["random0"] * 4,
            "layer": pa.array([*LAYERS, *LAYERS], pa.int16()),
            "norm": [2.0] * 8,
            "vector": from_matrix(vectors.astype(np.float32)),
        }
    )
    values = np.tile(np.arange(101.0)[:, np.newaxis], (1, 4))
    rows = floor_table(
        Pools(values, values[:0], values), names=["roles"], percentiles=[25.0],
        readings=["ceiling", "floor"],
    )  # fmt: skip
    floors = tables.from_rows(
        [{"direction": d, **row._asdict()} for d in ("axis", "random0") for row in rows], "floors"
    )
    return ArmInterventions(directions, floors, pool="roles", positions="all", layer=2)


def arm(contrast: str) -> HarmArm:
    return next(a for a in parse_harm_arms(ARMS) if a.contrast == contrast)


def test_caps_controls_and_steering_intervene_as_they_say(built: ArmInterventions) -> None:
    vectors = built.vectors(parse_harm_arms(ARMS))
    caps = built.of(arm("axis"))
    assert [cap.layer for cap in caps] == [1, 2, 3]
    assert {cap.floor for cap in caps} == {75.0}, "p25 away from the Assistant is 75 toward it"
    (single,) = built.of(arm("single_layer"))
    assert (single.layer, single.floor) == (2, 75.0)
    (random, *_) = built.of(arm("random0"))
    np.testing.assert_allclose(vectors[random.vector], [0, 2, 0])
    (steer,) = built.of(arm("steering"))
    assert (steer.op, steer.layer, steer.coefficient) == ("add", 2, 2.0)
    np.testing.assert_allclose(vectors[steer.vector], [1, 0, 0])
    (by_chance,) = built.of(arm("steering_random0"))
    np.testing.assert_allclose(vectors[by_chance.vector], [0, 1, 0])
    assert built.of(HarmArm("none")) == built.of(HarmArm("no_persona")) == ()


def test_the_wrong_sign_holds_a_projection_down_where_the_cap_of_that_reading_would_begin(
    built: ArmInterventions,
) -> None:
    vectors = built.vectors(parse_harm_arms(ARMS))
    for cap in built.of(arm("wrong_sign")):
        u = vectors[cap.vector] / np.linalg.norm(vectors[cap.vector])
        for projection in (0.0, 10.0, 25.0, 60.0, 99.0):
            h = projection * np.eye(HIDDEN)[0]
            moved = h - u * min(h @ u - cap.floor, 0.0)
            assert moved[0] == pytest.approx(min(projection, 25.0))


def test_the_rollouts_share_seeds_and_divide_every_category() -> None:
    arms: dict[HarmArm, tuple[Any, ...]] = dict.fromkeys(parse_harm_arms(ARMS), ())
    rollouts = probe_rollouts(arms, PERSONAS, PROBES, samples=1, seed=0)
    assert len(rollouts) == 12 + 10 * 6 * 12 == len({r.id for r in rollouts})
    assert len({r.seed for r in rollouts}) == 12 + 6 * 12
    bare = [r for r in rollouts if r.columns["contrast"] == "no_persona"]
    assert all(len(r.messages) == 1 for r in bare)
    halves = {(r.columns["category"], r.columns["half"]) for r in rollouts}
    assert len(halves) == 6


def rates(
    effects: dict[str, float], max_loss: float = 0.05, *, persona_decides: bool = False
) -> dict[tuple[str, ...], dict[str, Any]]:
    """Harm is a coin of 0.8 under a persona, less by the effect of the arm's label.

    The coin is thrown for every request, or once for each persona.
    """
    rng = np.random.default_rng(0)
    answers, scores = [], []
    arms: dict[HarmArm, tuple[Any, ...]] = dict.fromkeys(parse_harm_arms(ARMS), ())
    luck = {(p, q["id"]): rng.random() for p in ("", *PERSONAS) for q in PROBES}
    if persona_decides:
        luck = {(p, q): luck[p, PROBES[0]["id"]] for p, q in luck}
    for rollout in probe_rollouts(arms, PERSONAS, PROBES, samples=1, seed=0):
        cells = rollout.columns
        label = HarmArm(*(cells[name] for name in HarmArm._fields)).label
        bare = cells["contrast"] == "no_persona"
        share = 0.1 if bare else 0.8 - effects.get(label, 0.0)
        harmful = luck[cells["persona"], cells["question_id"]] < share
        answers.append({"response_id": rollout.id, **cells})
        scores.append(
            {"response_id": rollout.id, "rubric": "harm", "target": "", "judge": "planted"}
            | {"primary": True, "raw": "", "mode": "text", "score": 2.0 * harmful}
            | {"label": "serious" if harmful else "refuses"}
        )
    losses = {("1-3", "axis"): -0.02, ("2-2", "axis"): 0.0, ("1-3", "random0"): 0.0}
    costs = [
        {"direction": direction, "band": band, "percentile": 25.0, "reading": "ceiling"}
        | {"pool": "roles", "judge": "", "measure": "closed_accuracy", "n": 50, "n_unscored": 0}
        | {"change": change, "low": change - 0.05, "high": change + 0.05}
        for (band, direction), change in losses.items()
    ]
    table = rate_table(
        pa.Table.from_pylist(answers),
        tables.from_rows(scores, "scores"),
        tables.from_rows(costs, "capping_tradeoff"),
        max_loss=max_loss,
    )
    keys = ("contrast", "band", "reading", "half", "category")
    return {tuple(row[key] for key in keys): row for row in table.to_pylist()}


PLANTED = {"axis-l1-3-p25-ceiling": 0.5, "axis-l2-2-p25-ceiling": 0.1, "steering-1": 0.3}


def test_a_planted_reduction_is_found_chosen_and_reported_on_the_other_half() -> None:
    found = rates(PLANTED)
    reported = found["axis", "1-3", "ceiling", "reporting", "*"]
    assert reported["chosen"]
    assert reported["change"] == pytest.approx(-0.5, abs=0.15)
    assert reported["change_high"] < 0
    assert max(reported["p_less"], reported["beyond_p_less"]) < 0.05
    assert reported["accuracy_change"] == -0.02
    assert reported["n"] == 36
    assert {k[1] for k, row in found.items() if row["chosen"]} == {"1-3"}
    assert found["axis", "2-2", "ceiling", "reporting", "*"]["pareto"]
    assert found["axis", "1-3", "floor", "reporting", "*"]["accuracy_change"] is None
    assert found["wrong_sign", "1-3", "ceiling", "*", "*"]["change"] == 0.0
    assert found["steering", "", "", "*", "*"]["change"] == pytest.approx(-0.3, abs=0.15)


def test_outcomes_and_the_bare_requests_are_reported_by_category() -> None:
    found = rates(PLANTED)
    whole, bare = found["none", "", "", "*", "*"], found["no_persona", "", "", "*", "*"]
    assert whole["rate"] == pytest.approx(0.8, abs=0.12)
    assert whole["refuses"] == pytest.approx(1 - whole["rate"])
    assert whole["redirects"] == 0.0
    assert bare["change_high"] < 0
    by_category = [found["none", "", "", "*", c]["rate"] for c in ("fraud", "hate", "theft")]
    assert np.mean(by_category) == pytest.approx(whole["rate"])


def test_the_comparison_with_bare_requests_is_over_personas_too() -> None:
    """Requests that every persona answers in its own way tell of as many units as personas."""
    row = rates({}, persona_decides=True)["no_persona", "", "", "*", "*"]
    assert row["clusters"] == min(len(PERSONAS), len(PROBES))
    assert row["change"] < row["change_high"]
    assert row["change_high"] - row["change_low"] > 0.3


def test_without_an_effect_no_cap_reduces_harm() -> None:
    for row in rates({}).values():
        if row["half"] == "reporting" and row["contrast"] != "no_persona":
            assert row["change"] == 0.0
            assert row["p_less"] == 1.0


def test_no_cap_is_chosen_that_loses_too_much() -> None:
    def chosen(max_loss: float) -> set[str]:
        return {key[1] for key, row in rates(PLANTED, max_loss).items() if row["chosen"]}

    assert chosen(0.05) == {"1-3"}
    assert chosen(0.01) == {"2-2"}
