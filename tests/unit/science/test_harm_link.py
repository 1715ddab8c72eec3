"""The harm link: a planted relation of projection and harm is given back, its absence is not."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from personae.data import tables
from personae.data.activation_blocks import Block
from personae.data.vector_stacks import Stack
from personae.rollouts.second_turns import second_turn_rollouts
from personae.science.harm_link import (
    FIRST_TURNS,
    ROLE_MEANS,
    WITHIN_ROLES,
    link_points,
    link_table,
)
from personae.science.projection_tables import Asked, project_blocks

HIDDEN, LAYERS, MIDDLE = 6, 3, 1
ROLES = [f"role{i:02d}" for i in range(14)]
TURNS, PROBES = 5, 8


def first_turn(role: str, turn: int) -> str:
    """Return the id of a first turn."""
    return f"{role}-p0-q{turn}-s0"


def projections(places: dict[str, float]) -> pa.Table:
    """Project a stream that carries the axis (dimension 0, length 3) at the middle layer alone."""
    rng = np.random.default_rng(0)
    axes = np.zeros((2, LAYERS, HIDDEN), np.float32)
    axes[0, :, 0], axes[1, :, 1] = 3.0, 3.0
    directions = Stack(["axis", "random0"], list(range(LAYERS)), axes)
    parts = []
    for role in ROLES:
        ids = [first_turn(role, turn) for turn in range(TURNS)]
        stream = rng.normal(0, 0.3, (TURNS, LAYERS, HIDDEN)).astype(np.float32)
        stream[:, MIDDLE, 0] += [places[i] for i in ids]
        asked = Asked(ids, [f"q{turn}" for turn in range(TURNS)], ["heldout"] * TURNS)
        blocks = [Block("response_mean", ids, list(range(LAYERS)), stream)]
        parts.append(project_blocks(asked, blocks, directions, subject=role, kind="role"))
    rows = pa.concat_tables(parts)
    return rows.filter(pc.equal(rows["layer"], MIDDLE))


def link(harm_of: Any, places: dict[str, float]) -> dict[tuple[str, str], dict[str, Any]]:
    """Return the correlations by direction and statistic; ``harm_of`` gives a share of harm."""
    rng = np.random.default_rng(1)
    answers, scores = [], []
    for role in ROLES:
        for first in (first_turn(role, turn) for turn in range(TURNS)):
            for k in range(PROBES):
                answer = f"{first}-probe{k}"
                answers.append({"response_id": answer, "role": role, "first_turn": first})
                unscored = k == 0
                scores.append(
                    {"response_id": answer, "rubric": "harm", "target": "", "judge": "planted"}
                    | {"primary": True, "raw": "", "mode": "text"}
                    | {"score": None if unscored else 2.0 * (rng.random() < harm_of(role, first))}
                    | {"reason": "refusal" if unscored else None}
                )
    points = link_points(
        pa.Table.from_pylist(answers), tables.from_rows(scores, "scores"), projections(places)
    )
    assert points.num_rows == 2 * len(ROLES) * TURNS
    assert set(points["n"].to_pylist()) == {PROBES - 1}
    table = link_table(points, permutations=399, seed=0)
    return {(row["direction"], row["statistic"]): row for row in table.to_pylist()}


@pytest.fixture
def places() -> dict[str, float]:
    """Roles at different places of the axis, first turns scattered around them."""
    rng = np.random.default_rng(2)
    return {
        first_turn(role, turn): 2.0 * i / (len(ROLES) - 1) + float(rng.normal(0, 0.3))
        for i, role in enumerate(ROLES)
        for turn in range(TURNS)
    }


def test_harm_that_follows_the_projection_is_found_between_and_within_roles(
    places: dict[str, float],
) -> None:
    found = link(lambda _, first: 1 / (1 + np.exp(3 * (places[first] - 1))), places)
    whole = found["axis", FIRST_TURNS]
    assert whole["value"] < -0.6
    assert whole["high"] < 0 < -whole["low"]
    assert whole["p_less"] < 0.01
    assert (whole["n"], whole["clusters"], whole["n_unscored"]) == (70, 14, 70)
    assert found["axis", ROLE_MEANS]["value"] < whole["value"]
    assert found["axis", WITHIN_ROLES]["p_less"] < 0.05
    for statistic in (FIRST_TURNS, ROLE_MEANS, WITHIN_ROLES):
        assert abs(found["random0", statistic]["value"]) < 0.5


def test_harm_of_roles_that_has_nothing_to_do_with_the_axis_is_not_taken_for_a_relation(
    places: dict[str, float],
) -> None:
    # Every second role does harm: 70 first turns look like much, 14 roles are the units.
    found = link(lambda role, _: 0.9 if int(role[4:]) % 2 else 0.1, places)
    assert found["axis", FIRST_TURNS]["p_less"] > 0.05
    assert found["axis", FIRST_TURNS]["low"] < 0 < found["axis", FIRST_TURNS]["high"]


def test_shuffling_whole_roles_keeps_the_false_positives_at_the_level() -> None:
    rng, hits = np.random.default_rng(3), 0
    for _ in range(60):
        rows = [
            {"judge": "j", "direction": "axis", "layer": 0, "role": role, "n_unscored": 0}
            | {"first_turn": f"{role}{turn}", "projection": place + rng.normal(0, 0.3)}
            | {"rate": np.clip(own + rng.normal(0, 0.1), 0, 1)}
            for role in ROLES[:10]
            for place, own in [(rng.normal(), rng.random())]
            for turn in range(6)
        ]
        table = link_table(pa.Table.from_pylist(rows), permutations=99, seed=0)
        p = {row["statistic"]: row["p_less"] for row in table.to_pylist()}
        hits += p[FIRST_TURNS] <= 0.05
    assert hits <= 8


def test_harm_that_never_varies_has_no_correlation(places: dict[str, float]) -> None:
    found = link(lambda *_: 0.0, places)
    row = found["axis", FIRST_TURNS]
    assert row["value"] is None
    assert row["p_less"] is None
    assert row["rate"] == 0.0


def test_requests_follow_the_role_s_own_first_turn() -> None:
    def row(role: str, prompt: int, question: str, split: str, said: str) -> dict[str, Any]:
        asked = [{"role": "system", "content": f"You are {role}."}]
        asked += [{"role": "user", "content": f"{question}?"}]
        return {
            "response_id": f"{role}-p{prompt}-{question}-s0", "role": role,
            "prompt_index": prompt, "question_id": question, "split": split,
            "messages": json.dumps(asked), "response": said,
        }  # fmt: skip

    first = pa.Table.from_pylist(
        [
            row("ghost", 0, "q1", "heldout", "Boo."),
            row("ghost", 0, "q2", "heldout", "Boo?"),
            row("ghost", 1, "q1", "heldout", "Boo!"),
            row("ghost", 0, "q1", "extraction", "Never."),
            row("cat", 0, "q1", "heldout", "  "),
        ]
    )
    probes = [{"id": f"h{i}", "category": "theft", "text": f"Steal {i}?"} for i in range(2)]
    found = second_turn_rollouts(first, probes, prompts=1, questions={"q1"}, seed=3)
    assert [r.columns["first_turn"] for r in found] == ["ghost-p0-q1-s0"] * 2
    assert [(m.role, m.content) for m in found[1].messages] == [
        ("system", "You are ghost."), ("user", "q1?"), ("assistant", "Boo."), ("user", "Steal 1?"),
    ]  # fmt: skip
    assert found[0].seed != found[1].seed
    again = second_turn_rollouts(first, probes[:1], prompts=2, questions={"q1", "q2"}, seed=3)
    assert found[0].seed in {r.seed for r in again}, "a rollout's seed is its own"
