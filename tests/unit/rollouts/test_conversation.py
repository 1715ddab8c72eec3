"""Conversations advance in step, carry their own history, and differ only by interventions."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from personae.api.requests import (
    ActivationRow,
    GenerateRow,
    Intervention,
    RenderedChat,
    RenderRow,
    Sampling,
    Span,
)
from personae.data.vector_columns import from_matrix
from personae.data.vector_stacks import vector_rows
from personae.rollouts.conversation import Dialogue, play
from personae.rollouts.drift_replay import (
    NullPlan,
    replay_dialogues,
    replayed_transcripts,
    shipped_transcripts,
    turn_projections,
)
from personae.science.drift import drift_summary
from personae.science.null_directions import OF_EACH_KIND

CAP = Intervention(op="cap", layer=1, vector="axis@1", floor=2.0)
TALKS = [
    {
        "slug": "calm",
        "domain": "coding",
        "kind": "calm",
        "turns": [{"user": "u0", "assistant": "a0"}, {"user": "u1", "assistant": "a1"}],
    },
    {
        "slug": "drifting",
        "domain": "coding",
        "kind": "drifting",
        "turns": [{"user": "v0", "assistant": "b0"}],
    },
]


class EchoEngine:
    """Answers with its input and counts its batches; turn t projects to t."""

    def __init__(self) -> None:
        self.batches: list[list[GenerateRow]] = []

    def generate(
        self, rows: Sequence[GenerateRow], sampling: Sampling, vectors: Mapping[str, np.ndarray]
    ) -> pa.Table:
        self.batches.append(list(rows))
        return pa.Table.from_pylist(
            [
                {
                    "id": row.id,
                    "prompt_ids": [1],
                    "response_ids": [2],
                    "response": f"re: {row.messages[-1].content}",
                    "finish_reason": "stop",
                    "seed": row.seed,
                    "system_inserted": "",
                    "fired": len(row.interventions),
                }
                for row in rows
            ]
        )

    def render(self, rows: Sequence[RenderRow]) -> list[RenderedChat]:
        return [
            RenderedChat(
                id=row.id,
                token_ids=list(range(len(row.messages))),
                turns=[
                    Span(name=f"turn{i}", start=2 * i + 1, end=2 * i + 2)
                    for i in range(len(row.messages) // 2)
                ],
                system_inserted="",
            )
            for row in rows
        ]

    def activations(self, rows: Sequence[ActivationRow]) -> pa.Table:
        cells = [
            (row.id, span.name, layer, [float(span.start // 2), 9.0])
            for row in rows
            for span in row.spans
            for layer in range(2)
        ]
        return pa.table(
            {
                "id": [c[0] for c in cells],
                "span": [c[1] for c in cells],
                "layer": pa.array([c[2] for c in cells], pa.int16()),
                "n_tokens": pa.array([1] * len(cells), pa.int32()),
                "vector": from_matrix(np.asarray([c[3] for c in cells])),
            }
        )


def played(engine: EchoEngine) -> pa.Table:
    dialogues = replay_dialogues(TALKS, {"replayed": (), "capped": (CAP,)})
    return play(engine, dialogues, Sampling(), "replays", seed=0)


def test_every_turn_is_one_batch_and_short_conversations_drop_out() -> None:
    engine = EchoEngine()
    table = played(engine)
    assert [len(batch) for batch in engine.batches] == [4, 2]
    assert table.num_rows == len(set(table["response_id"].to_pylist())) == 6


def test_history_holds_the_model_s_own_answers_and_no_system_prompt() -> None:
    engine = EchoEngine()
    played(engine)
    second = engine.batches[1][0]
    assert [(m.role, m.content) for m in second.messages] == [
        ("user", "u0"),
        ("assistant", "re: u0"),
        ("user", "u1"),
    ]


def test_arms_share_seeds_and_differ_by_their_caps() -> None:
    engine = EchoEngine()
    played(engine)
    first = {row.id: row for row in engine.batches[0]}
    plain, capped = first["calm-replayed-t0"], first["calm-capped-t0"]
    assert plain.seed == capped.seed
    assert plain.seed != first["drifting-replayed-t0"].seed
    assert (plain.interventions, capped.interventions) == ([], [CAP])
    assert engine.batches[1][0].seed != plain.seed


def test_a_system_prompt_opens_the_conversation_when_there_is_one() -> None:
    engine = EchoEngine()
    talk = Dialogue(
        "x",
        ("x",),
        "Be brief.",
        ("hi",),
        {"conversation": "x", "domain": "d", "kind": "k", "arm": "a"},
    )
    table = play(engine, [talk], Sampling(), "replays", seed=0)
    assert [m["role"] for m in json.loads(table["messages"][0].as_py())] == ["system", "user"]


def test_transcripts_are_read_back_whole() -> None:
    shipped = shipped_transcripts(TALKS)
    assert [m.content for m in shipped[0].messages] == ["u0", "a0", "u1", "a1"]
    replayed = {t.id: t for t in replayed_transcripts(played(EchoEngine()))}
    assert [m.content for m in replayed["calm-capped"].messages] == ["u0", "re: u0", "u1", "re: u1"]


def test_turns_are_projected_by_position_and_summarised_by_kind() -> None:
    axis = pa.table(
        {"direction": ["axis"] * 2, **vector_rows(np.asarray([[5.0, 0.0]] * 2), range(2))}
    )
    table = turn_projections(EchoEngine(), shipped_transcripts(TALKS), axis)
    assert {(r["conversation"], r["turn"]): r["projection"] for r in table.to_pylist()} == {
        ("calm", 0): 0.0,
        ("calm", 1): 1.0,
        ("drifting", 0): 0.0,
    }
    table = table.filter(pc.equal(table["layer"], 1))
    kept = drift_summary(table, 1, min_samples=1, seed=0).to_pylist()
    assert [(r["kind"], r["turn"], r["mean"]) for r in kept] == [
        ("calm", 0, 0.0),
        ("calm", 1, 1.0),
        ("drifting", 0, 0.0),
    ]
    assert drift_summary(table, 1, min_samples=2, seed=0).num_rows == 0


def test_turns_are_projected_on_random_directions_at_one_layer_too() -> None:
    axis = pa.table(
        {"direction": ["axis"] * 2, **vector_rows(np.asarray([[5.0, 0.0]] * 2), range(2))}
    )
    table = turn_projections(EchoEngine(), shipped_transcripts(TALKS), axis, NullPlan(1, 0))
    random = table.filter(pc.starts_with(table["direction"], "random_"))
    assert set(random["layer"].to_pylist()) == {1}
    assert len(set(random["direction"].to_pylist())) == 2 * OF_EACH_KIND
    assert random.num_rows == 3 * 2 * OF_EACH_KIND  # three turns
    # Within the one conversation of two turns the stream varies along the first dimension.
    own = random.filter(pc.starts_with(random["direction"], "random_stream")).to_pylist()
    last = [r for r in own if (r["conversation"], r["turn"]) == ("calm", 1)]
    assert [abs(r["projection"]) for r in last] == pytest.approx([1.0] * OF_EACH_KIND)
