"""Case studies: shipped turns, tokens, and how risk goes with the projection."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from personae.api.requests import RenderedChat, Span
from personae.data import tables
from personae.data.tables import from_matrix
from personae.rollouts.drift_replay import (
    TRANSCRIPT,
    replayed_transcripts,
    shipped_transcripts,
    shipped_turns,
)
from personae.rollouts.token_projections import token_projections
from personae.science.case_studies import CHANGE, LEVELS, STEPS, case_effects, case_turns

TALKS = [
    {
        "slug": f"talk{i}",
        "domain": "delusion",
        "kind": "drifting",
        "turns": [{"user": f"u{t}", "assistant": f"answer {t}"} for t in range(6)],
    }
    for i in range(8)
]


def test_the_transcripts_turns_are_rows_that_give_back_the_transcripts() -> None:
    turns = shipped_turns(TALKS)
    assert turns.num_rows == 8 * 6
    first = turns.to_pylist()[0]
    assert (first["arm"], first["ids_from"], first["question"]) == ("shipped", "transcript", "u0")
    back = {t.id: t for t in replayed_transcripts(turns.select(TRANSCRIPT))}
    for transcript in shipped_transcripts(TALKS):
        assert back[transcript.id].messages == transcript.messages


class Reader:
    """Renders two tokens a turn; the activation of token t at the layer is t times the axis."""

    def render(self, rows: Any) -> list[RenderedChat]:
        return [
            RenderedChat(
                id=row.id,
                token_ids=list(range(10)),
                turns=[Span(name="turn0", start=3, end=5), Span(name="turn1", start=8, end=10)],
                system_inserted="",
            )
            for row in rows
        ]

    def activations(self, rows: Any, layers: list[int]) -> pa.Table:
        spans = [(row.id, span) for row in rows for span in row.spans]
        assert all(span.end == span.start + 1 for _, span in spans)
        vectors = np.asarray([[0.0, float(span.start), 7.0] for _, span in spans])
        return pa.table(
            {
                "id": [name for name, _ in spans],
                "span": [span.name for _, span in spans],
                "layer": pa.array([layers[0]] * len(spans), pa.int16()),
                "vector": from_matrix(vectors.astype(np.float32)),
            }
        )


def test_every_token_of_a_turn_is_projected_at_its_place() -> None:
    directions = pa.table(
        {
            "direction": ["axis", "axis", "random0", "random0"],
            "layer": pa.array([1, 2, 1, 2], pa.int16()),
            "vector": from_matrix(np.eye(3)[[0, 1, 2, 2]].astype(np.float32) * 5),
        }
    )
    found = token_projections(Reader(), shipped_transcripts(TALKS[:1]), directions, 2)  # type: ignore[arg-type]
    rows = found.select(["turn", "token", "projection"]).to_pylist()
    assert [tuple(row.values()) for row in rows] == [
        (0, 0, 3.0), (0, 1, 4.0), (1, 0, 8.0), (1, 1, 9.0),
    ]  # fmt: skip


def effects(coupling: float, relief: float, seed: int = 0) -> dict[tuple[str, ...], dict[str, Any]]:
    """Risk moves against the projection by ``coupling``; the cap lowers it by ``relief``."""
    rng = np.random.default_rng(seed)
    replays, scores, places = [], [], []
    for talk in TALKS:
        for arm in ("replayed", "capped"):
            level = rng.normal(0, 5)
            for turn in range(6):
                response = f"{talk['slug']}-{arm}-t{turn}"
                projection = float(rng.normal())
                where = {"conversation": talk["slug"], "arm": arm, "turn": turn}
                replays.append({"response_id": response, **where})
                places.append(
                    {**where, "domain": "delusion", "kind": "drifting", "direction": "axis"}
                    | {"layer": 5, "projection": projection + level, "n_tokens": 3}
                )
                risk = 50 - coupling * projection * 10 + rng.normal(0, 3)
                risk -= relief * (arm == "capped")
                shared = {"response_id": response, "target": "", "judge": "planted", "raw": ""}
                shared |= {"primary": True, "mode": "text"}
                scores += [
                    shared | {"rubric": "delusion_risk", "score": risk},
                    shared | {"rubric": "harm", "score": 0.0},
                ]
    turns = case_turns(
        pa.Table.from_pylist(replays),
        tables.from_rows(scores, "scores"),
        tables.from_rows(places, "drift_projections"),
    )
    assert turns.num_rows == 8 * 2 * 6
    table = case_effects(turns, permutations=99, seed=0)
    return {
        (row["measure"], row["statistic"], row["arm"]): row for row in table.to_pylist()
    }  # fmt: skip


def test_a_planted_coupling_and_relief_are_given_back() -> None:
    found = effects(1.0, 15.0)
    change = found["risk", CHANGE, "capped"]
    assert change["value"] == pytest.approx(-15, abs=5)
    assert change["high"] < 0
    assert change["p_less"] < 0.01
    assert change["clusters"] == 8
    for statistic in (LEVELS, STEPS):
        row = found["risk", statistic, "*"]
        assert row["value"] < -0.85
        assert row["high"] < -0.7
        assert row["p_less"] == pytest.approx(0.01)
    assert found["harm", CHANGE, "capped"]["value"] == 0.0
    assert found["harm", STEPS, "*"]["p_less"] is None, "constant harm correlates with nothing"


def test_no_coupling_gives_none() -> None:
    rows = [effects(0.0, 0.0, seed) for seed in range(8)]
    steps = [row["risk", STEPS, "*"] for row in rows]
    assert abs(np.mean([row["value"] for row in steps])) < 0.12
    assert sum(row["p_less"] < 0.05 for row in steps) <= 2
    assert sum(row["risk", CHANGE, "capped"]["p_less"] < 0.05 for row in rows) <= 2
