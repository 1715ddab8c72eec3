"""Monitoring: prompts of graded strength, and how the last prompt token predicts the score."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from personae.data.table_values import MANY_SHOT, SYSTEM_PROMPT
from personae.rollouts.extraction import last_prompt_rows
from personae.rollouts.monitored_rollouts import monitoring_rollouts
from personae.science.monitoring import ALL, Monitored

EXAMPLES = [["Hi?", "Ahoy!"], ["Tea?", "Rum!"], ["Home?", "The sea!"]]


def test_every_condition_meets_every_question() -> None:
    made = monitoring_rollouts(
        trait="pirate_speech",
        prompts=["Be plain.", "Be a pirate."],
        examples=EXAMPLES,
        shots=[2],
        questions=[["q00", "Where is the gold?"], ["q01", "Who are you?"]],
        samples=2,
        seed=1,
    )
    assert len(made) == len({r.id for r in made}) == len({r.seed for r in made}) == 3 * 2 * 2
    by_kind = {r.columns["kind"]: r for r in made}
    system = [m.model_dump() for m in by_kind[SYSTEM_PROMPT].messages]
    assert [m["role"] for m in system] == ["system", "user"]
    assert system[0]["content"] == "Be a pirate."
    shots = [m.model_dump() for m in by_kind[MANY_SHOT].messages]
    assert [m["role"] for m in shots] == ["user", "assistant", "user", "assistant", "user"]
    assert [m["content"] for m in shots[:4]] == ["Hi?", "Ahoy!", "Tea?", "Rum!"]


def test_a_prompt_added_changes_no_other_rollout() -> None:
    def seeds(prompts: list[str]) -> dict[str, int]:
        made = monitoring_rollouts(
            trait="t", prompts=prompts, examples=[], shots=[], questions=[["q", "?"]],
            samples=1, seed=5,
        )  # fmt: skip
        return {r.id: r.seed for r in made}

    assert seeds(["a", "b"]).items() <= seeds(["a", "b", "c"]).items()


def test_only_the_last_token_of_the_prompt_is_asked_for() -> None:
    table = pa.table({"response_id": ["a"], "prompt_ids": [[5, 6, 7]], "response_ids": [[8, 9]]})
    (row,) = last_prompt_rows(table)
    assert row.token_ids == [5, 6, 7]
    assert [(s.name, s.start, s.end) for s in row.spans] == [("last_prompt", 2, 3)]


@pytest.fixture
def monitored() -> Monitored:
    """Layer 0 follows the score, layer 1 follows the condition only, layer 2 is noise."""
    rng = np.random.default_rng(0)
    grade = np.repeat(np.arange(6), 40)
    inside = rng.normal(size=len(grade))
    frame = pd.DataFrame(
        {
            "response_id": [f"r{i}" for i in range(len(grade))],
            "trait": "poetic",
            "kind": SYSTEM_PROMPT,
            "grade": grade,
            "question_id": [f"q{i % 10}" for i in range(len(grade))],
        }
    )
    scores = 10.0 * grade + 5.0 * inside + 20
    scores[0] = np.nan
    layers = [
        inside + grade,
        rng.normal(size=len(grade)) + 2.0 * grade,
        rng.normal(size=len(grade)),
    ]
    return Monitored(frame, [0, 1, 2], np.stack(layers, axis=1), scores, 0)


def test_pooled_correlation_is_inflated_by_conditions_and_the_inner_one_is_not(
    monitored: Monitored,
) -> None:
    rows = monitored.correlation_table().to_pandas().set_index(["kind", "layer"])
    follows, between, noise = (rows.loc[(ALL, layer)] for layer in (0, 1, 2))
    assert follows.pooled > 0.9
    assert follows.within_low > 0.9
    assert between.pooled > 0.8
    assert between.within_low < 0 < between.within_high or abs(between.within) < 0.2
    assert abs(noise.pooled) < 0.2
    assert (follows.n, follows.n_unscored, follows.n_conditions) == (239, 1, 6)
    assert rows.chosen.groupby("layer").first().tolist() == [True, False, False]


def test_points_keep_unscored_responses_without_a_number(monitored: Monitored) -> None:
    points = monitored.point_table().to_pylist()
    assert points[0]["score"] is None
    assert points[1]["score"] is not None
    assert {point["layer"] for point in points} == {0}
