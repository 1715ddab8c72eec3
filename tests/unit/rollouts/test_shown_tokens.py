"""Tokens of shown transcripts: which are read, and where their projections come from."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pyarrow as pa

from personae.api.requests import RenderedChat, Span
from personae.data.tables import from_matrix
from personae.inference.turn_projections import Direction
from personae.rollouts.shown_tokens import shown_tokens, shown_transcripts


def answer(name: str, **columns: Any) -> dict[str, Any]:
    asked = [{"role": "user", "content": "Question?"}]
    return {
        "response_id": name,
        "messages": json.dumps(asked),
        "response": f"{name} said",
    } | columns


def steered(trait: str, question: str, direction: str, coefficient: float, sample: int = 0) -> Any:
    name = f"{trait}-{question}-{direction}-{coefficient}-{sample}"
    return answer(name, trait=trait, question_id=question, direction=direction,
                  coefficient=coefficient, sample=sample)  # fmt: skip


def test_first_questions_of_each_subject_are_read_in_all_settings_but_random_ones() -> None:
    rows = [
        steered(trait, question, direction, coefficient, sample)
        for trait in ("a", "b")
        for question in ("q0", "q1")
        for direction, coefficient in (("trait", 0.0), ("trait", 2.0), ("random0", 2.0))
        for sample in (0, 1)
    ]
    found = shown_transcripts({"steered_responses": pa.Table.from_pylist(rows)}, 3)
    ids = [next(iter(each.response_ids.values())) for each in found]
    assert ids == [
        f"{trait}-{question}-trait-{coefficient}-0"
        for trait, question in (("a", "q0"), ("b", "q0"), ("a", "q1"))
        for coefficient in (0.0, 2.0)
    ]
    assert all(each.response_ids.keys() == {0} for each in found)
    assert found[0].messages[-1].content == "a-q0-trait-0.0-0 said"


def test_conversations_are_read_once_with_all_turns_of_every_arm() -> None:
    def turn(arm: str, n: int) -> dict[str, Any]:
        history = [
            {"role": role, "content": f"{role} {i}"}
            for i in range(n)
            for role in ("user", "assistant")
        ]
        messages = json.dumps([*history, {"role": "user", "content": f"user {n}"}])
        return answer(f"{arm}{n}") | {
            "messages": messages, "conversation": "talk", "arm": arm, "turn": n
        }  # fmt: skip

    rows = [turn("shipped", 0)]
    rows += [turn(arm, n) for arm in ("replayed", "capped") for n in range(3)]
    found = shown_transcripts({"replays": pa.Table.from_pylist(rows)}, 1)
    assert [each.response_ids for each in found] == [
        {0: "shipped0"},
        *({n: f"{arm}{n}" for n in range(3)} for arm in ("replayed", "capped")),
    ]
    assert [m.role for m in found[1].messages] == ["user", "assistant"] * 3
    rows[-1] |= {"response": " "}
    assert len(shown_transcripts({"replays": pa.Table.from_pylist(rows)}, 1)) == 2
    others = [{**row, "conversation": "other"} for row in rows]
    assert len(shown_transcripts({"replays": pa.Table.from_pylist(rows + others)}, 1)) == 2


class Reader:
    """Renders two turns of two tokens; at layer l, token t is t times unit vector l."""

    def render(self, rows: Any) -> list[RenderedChat]:
        return [
            RenderedChat(
                id=row.id,
                token_ids=list(range(10)),
                turns=[Span(name="turn0", start=3, end=5), Span(name="turn1", start=8, end=10)],
                system_inserted="",
                pieces=[f"<{n}>" for n in range(10)],
            )
            for row in rows
        ]

    def activations(self, rows: Any, layers: list[int]) -> pa.Table:
        asked = [(row.id, span, layer) for row in rows for span in row.spans for layer in layers]
        at = np.asarray([(span.start + span.end - 1) / 2 for _, span, _ in asked])
        vectors = np.eye(4)[[layer for *_, layer in asked]] * at[:, None]
        return pa.table(
            {
                "id": [name for name, *_ in asked],
                "span": [span.name for _, span, _ in asked],
                "layer": pa.array([layer for *_, layer in asked], pa.int16()),
                "vector": from_matrix(vectors.astype(np.float32)),
            }
        )


def test_every_token_is_projected_at_the_layer_of_each_direction() -> None:
    directions = {
        "axis": Direction(2, np.eye(4, dtype=np.float32)[2]),
        "poetic": Direction(1, -np.eye(4, dtype=np.float32)[1]),
    }
    rows = [answer("x", trait="poetic", question_id="q", direction="trait", coefficient=0.0)]
    transcripts = shown_transcripts({"steered_responses": pa.Table.from_pylist(rows)}, 1)
    kept = [each._replace(response_ids={1: "last"}) for each in transcripts]
    found = shown_tokens(Reader(), kept, directions).to_pylist()  # type: ignore[arg-type]
    assert [(row["direction"], row["layer"], row["projections"]) for row in found] == [
        ("axis", 2, [8.0, 9.0]),
        ("poetic", 1, [-8.0, -9.0]),
    ]
    assert found[0]["pieces"] == ["<8>", "<9>"]
    assert {row["response_id"] for row in found} == {"last"}
    assert shown_tokens(Reader(), [], directions).num_rows == 0  # type: ignore[arg-type]
