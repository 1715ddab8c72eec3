"""The node that predicts turns from user messages: messages meet the turns that answer them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scripts.drift import predict_drift

from personae.data import tables

LAYER, TALKS, TURNS = 4, 12, 5
LEVELS = np.random.default_rng(3).normal(size=(TALKS, TURNS))


class Embedder:
    """Embeds a message that is a number as a unit vector at this angle."""

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        angles = np.asarray([float(text) for text in texts]) / 4.0
        return np.stack([np.cos(angles), np.sin(angles)], axis=1).astype("f4")


def rows(arm: str, n: int, *, slope: float) -> list[dict[str, Any]]:
    """Return projections at two layers; those on the axis at `LAYER` alone have a slope."""
    return [
        {
            "conversation": f"talk{i:02d}",
            "domain": "coding",
            "kind": "calm",
            "arm": arm,
            "turn": turn,
            "direction": direction,
            "layer": layer,
            "projection": slope * LEVELS[i, turn] * (direction == "axis") * (layer == LAYER),
            "n_tokens": 9,
        }
        for i in range(n)
        for turn in range(TURNS)
        for direction in ("axis", "random0")
        for layer in (LAYER - 1, LAYER)
    ]


@pytest.fixture
def predictions(tmp_path: Path) -> dict[tuple[str, str], dict[str, Any]]:
    """Run the node on twelve shipped talks, their replays, and three capped ones."""
    paths = {name: str(tmp_path / f"{name}.parquet") for name in ("projected", "replays", "out")}
    projected = [
        *rows("shipped", TALKS, slope=20.0),
        *rows("replayed", TALKS, slope=-20.0),
        *rows("capped", 3, slope=20.0),
    ]
    replays = [
        {
            "response_id": f"{arm}-{i}-{turn}",
            "conversation": f"talk{i:02d}",
            "domain": "coding",
            "kind": "calm",
            "arm": arm,
            "turn": turn,
            "question": str(LEVELS[i, turn]),
        }
        for arm, n in (("replayed", TALKS), ("capped", 3))
        for i in range(n)
        for turn in range(TURNS)
    ]
    tables.write(
        tables.from_rows(projected, "drift_projections"),
        paths["projected"],
        "drift_projections",
        {},
    )
    tables.write(tables.from_rows(replays, "replays"), paths["replays"], "replays", {})
    predict_drift.main(
        projections=paths["projected"],
        replays=paths["replays"],
        simulated=None,
        conversations=[
            {"slug": f"talk{i:02d}", "turns": [{"user": str(level)} for level in LEVELS[i]]}
            for i in range(TALKS)
        ],
        path_out=paths["out"],
        axis={"permutations": 50, "bootstrap": 50},
        middle_layer=LAYER,
        seed=0,
        engine=Embedder(),  # type: ignore[arg-type]
        provenance={},
    )
    found = tables.read(paths["out"], "drift_predictions").to_pylist()
    return {(row["arm"], row["target"]): row for row in found}


def test_messages_predict_the_turns_that_answer_them(
    predictions: dict[tuple[str, str], dict[str, Any]],
) -> None:
    for arm in ("shipped", "replayed"):
        row = predictions[arm, "projection"]
        assert row["r2"] > 0.8
        assert row["r2_low"] > row["null_p95"]
        assert row["p_value"] < 0.05
        assert (row["n"], row["n_conversations"]) == (TALKS * TURNS, TALKS)
        change = predictions[arm, "change"]
        assert change["n"] == TALKS * (TURNS - 1)
        assert 0.2 < change["r2"] < row["r2"]


def test_an_arm_with_three_conversations_has_no_row(
    predictions: dict[tuple[str, str], dict[str, Any]],
) -> None:
    assert {arm for arm, _ in predictions} == {"shipped", "replayed"}
