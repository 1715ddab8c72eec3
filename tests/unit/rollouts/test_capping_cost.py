"""The cost of capping: the right rows are scored, and the right choice wins."""

from __future__ import annotations

import json

import pyarrow as pa
import pytest

from personae.api.requests import Intervention, LikelihoodResult
from personae.rollouts.capping_cost import closed_rows, closed_values, neutral_rows, neutral_values
from personae.science.capping_arms import CappingArm

CAPS = (Intervention(op="cap", layer=1, vector="axis@1", floor=2.0),)
ARM = CappingArm("axis", "1-1", 25.0)
ITEMS = [{"id": "sky", "question": "Colour of the sky?", "choices": ["red", "blue"], "answer": 1}]


def answers() -> pa.Table:
    rows = [("heldout", "q0", [5, 6]), ("heldout", "q1", [7]), ("extraction", "q2", [8])]
    rows.append(("heldout", "q0", []))
    return pa.Table.from_pylist(
        [
            {
                "response_id": f"r{i}",
                "split": split,
                "question_id": question,
                "response_ids": ids,
                "messages": json.dumps([{"role": "user", "content": "Hi"}]),
            }
            for i, (split, question, ids) in enumerate(rows)
        ]
    )


def test_only_held_out_answers_with_tokens_are_scored_as_saved() -> None:
    rows = neutral_rows(answers(), CAPS, 1)
    assert [(row.id, row.continuation_ids) for row in rows] == [("r0", [5, 6])]
    assert rows[0].interventions == list(CAPS)
    assert len(neutral_rows(answers(), (), 2)) == 2


def test_likelihood_is_per_token() -> None:
    rows = neutral_rows(answers(), CAPS, 1)
    result = LikelihoodResult(id="r0", sum_logprob=-3.0, n_tokens=2)
    (value,) = neutral_values(ARM, rows, [result])
    assert (value["value"], value["direction"], value["band"]) == (-1.5, "axis", "1-1")


@pytest.mark.parametrize(("blue", "right"), [(-2.0, 1.0), (-9.0, 0.0)])
def test_the_most_likely_choice_per_token_answers(blue: float, right: float) -> None:
    assert [row.continuation for row in closed_rows(ITEMS, CAPS)] == ["red", "blue"]
    results = [
        LikelihoodResult(id="sky/0", sum_logprob=-3.0, n_tokens=1),
        LikelihoodResult(id="sky/1", sum_logprob=blue, n_tokens=2),
    ]
    (value,) = closed_values(ARM, ITEMS, results)
    assert value["value"] == right
