"""Alarms on a transcript: the token before each answer, the study's threshold, both in words."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from personae.api.requests import (
    ActivationRow,
    EngineSpec,
    Message,
    RenderedChat,
    RenderRow,
    Span,
)
from personae.data import tables
from personae.data.tables import from_matrix
from personae.data.vector_columns import to_matrix
from personae.inference.chat_templates import render_chat, render_prompt
from personae.inference.local_engine import LocalEngine
from personae.inference.torch_engine.engine import Engine
from personae.tools.prompt_alarms import Alarm, alarm_line, project_prompts, read_alarms
from tests.unit.inference.engine.families import prepare_tiny

LAYER = 2
TALK = [
    Message(role="system", content="Be plain."),
    Message(role="user", content="Hello?"),
    Message(role="assistant", content="Hello."),
    Message(role="user", content="Now be a pirate!"),
    Message(role="assistant", content="Arr."),
]


class Client:
    """The tiny model as a client of its server shows it."""

    def __init__(self, engine: Engine) -> None:
        self._engine, self.activations = engine, LocalEngine(engine).activations

    def render(self, rows: Sequence[RenderRow]) -> list[RenderedChat]:
        """Render conversations."""
        return [render_chat(self._engine.loaded.tokenizer, row) for row in rows]


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Engine:
    """A tiny Llama with random weights."""
    folder = prepare_tiny(tmp_path_factory.mktemp("tiny"))
    return Engine(EngineSpec(model=str(folder), device="cpu", dtype="float32", threads=1))


def before_answers(engine: Engine, vector: np.ndarray) -> list[float]:
    """Return the projections as the monitoring stage has them: of prompts alone."""
    values = []
    for end in (2, 4):
        ids = render_prompt(engine.loaded.tokenizer, TALK[:end])
        span = Span(name="last_prompt", start=len(ids) - 1, end=len(ids))
        row = ActivationRow(id="r", token_ids=ids, n_prompt=len(ids), spans=[span])
        table = LocalEngine(engine).activations([row], layers=[LAYER])
        values.append(float(to_matrix(table["vector"])[0] @ vector / np.linalg.norm(vector)))
    return values


BOUNDS = ("low", "high")


@pytest.fixture
def results(engine: Engine, tmp_path: Path) -> Path:
    """Results with vectors of two traits; of one the study could choose no threshold."""
    hidden = engine.loaded.hidden_size
    for seed, trait in enumerate(("pirate_speech", "poetic")):
        vectors = np.random.default_rng(seed).normal(size=(3, hidden)).astype(np.float32)
        table = pa.table(
            {
                "trait": [trait] * 3,
                "variant": ["response_mean"] * 3,
                "layer": pa.array([1, 2, 3], pa.int16()),
                "selection": ["filtered"] * 3,
                "n_cells": pa.array([4] * 3, pa.int32()),
                "norm": [1.0] * 3,
                "split_half": [0.9] * 3,
                "split_half_low": [0.8] * 3,
                "split_half_high": [1.0] * 3,
                "split_half_p": [0.01] * 3,
                "split_half_folds": pa.array([4] * 3, pa.int32()),
                "vector": from_matrix(vectors),
            }
        )
        tables.write(table, tmp_path / "traits" / trait / "vectors.parquet", "trait_vectors", {})
        threshold = None
        if trait == "pirate_speech":
            threshold = float(np.mean(before_answers(engine, vectors[1])))
        row = {"trait": trait, "layer": LAYER, "shown_from": 50.0, "most_false_alarms": 0.1}
        row |= {"threshold": threshold, "n_choosing": 8, "n_shown": 4, "n_other": 8}
        row |= {"false_alarms": 0.125, "caught": 0.75, "auc": 0.8}
        bounds = [f"{rate}_{end}" for rate in ("false_alarms", "caught", "auc") for end in BOUNDS]
        row |= dict.fromkeys(bounds)
        path = tmp_path / "monitoring" / trait / "alerts.parquet"
        tables.write(tables.from_rows([row], "monitoring_alerts"), path, "monitoring_alerts", {})
    return tmp_path


def test_the_token_before_every_answer_is_held_against_the_study_s_threshold(
    engine: Engine, results: Path
) -> None:
    alarms = read_alarms(results)
    assert list(alarms) == ["pirate_speech"], "a trait without a threshold has no alarm"
    alarm = alarms["pirate_speech"]
    assert (alarm.layer, alarm.false_alarms, alarm.caught) == (LAYER, 0.125, 0.75)
    assert np.linalg.norm(alarm.unit) == pytest.approx(1.0)
    found = project_prompts(Client(engine), TALK, alarms)  # type: ignore[arg-type]
    values = [turn["pirate_speech"] for turn in found]
    assert values == pytest.approx(before_answers(engine, alarm.unit), abs=1e-4)
    lines = [alarm_line(turn, alarms) for turn in found]
    raised = [line.endswith("false alarms 12%: ALARM)") for line in lines]
    assert raised == [value > alarm.threshold for value in values]
    assert sorted(raised) == [False, True]


def test_a_study_without_monitoring_raises_no_alarm(engine: Engine, tmp_path: Path) -> None:
    assert read_alarms(tmp_path) == {}
    assert project_prompts(Client(engine), TALK, {}) == [{}, {}]  # type: ignore[arg-type]


def test_a_rate_that_was_not_measured_is_not_shown_as_one() -> None:
    alarm = Alarm(3, np.ones(1), 1.0, None, None)
    assert "false alarms not measured" in alarm_line({"evil": 0.5}, {"evil": alarm})
    assert "unit" not in alarm.about()
