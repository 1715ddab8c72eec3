"""Intervals over questions, from the tables of the persona space node."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from personae.data import tables
from personae.data.table_values import DEFAULT
from personae.science.question_spread import load_cells, nowhere_but, question_intervals
from personae.science.resampling import Bootstrap
from personae.science.rollout_stacks import Source

LAYER = 1
N_QUESTIONS = 6


def write_subject(folder: Path, subject: str, vectors: np.ndarray, scores: list[int]) -> Source:
    """Write responses, activations and scores; the last rollout is a held-out one."""
    ids = [f"{subject}-{i}" for i in range(len(vectors))]
    responses = [
        {
            "response_id": response_id,
            "question_id": f"q{i % N_QUESTIONS}",
            "split": "heldout" if i == len(ids) - 1 else "extraction",
        }
        for i, response_id in enumerate(ids)
    ]
    activations = pa.table(
        {
            "response_id": [*ids, *ids],
            "span": ["response_mean"] * 2 * len(ids),
            "layer": [layer for layer in (0, LAYER) for _ in ids],
            "n_tokens": [4] * 2 * len(ids),
            "vector": tables.from_matrix(np.concatenate([0 * vectors, vectors]).astype(np.float32)),
        }
    )
    judged = [
        {
            "response_id": i,
            "judge": "likelihood",
            "rubric": "role_adherence",
            "score": float(score),
            "primary": True,
        }
        for i, score in zip(ids, scores, strict=True)
    ]
    made = {
        "role_responses": tables.from_rows(responses, "role_responses"),
        "activations": tables.assemble([activations], "activations"),
        "scores": tables.from_rows(judged, "scores"),
    }
    paths = {name: str(folder / f"{subject}_{name}.parquet") for name in made}
    for name, table in made.items():
        tables.write(table, paths[name], name, {})
    return Source(
        subject,
        paths["role_responses"],
        paths["activations"],
        None if subject == DEFAULT else paths["scores"],
    )


@pytest.fixture
def sources(tmp_path: Path) -> list[Source]:
    """Four roles along one direction, each once out of role, and a default at its end."""
    rng = np.random.default_rng(0)
    direction = np.eye(8)[0]
    made = []
    for place, subject in enumerate(["cat", "ghost", "pirate", "wizard", DEFAULT]):
        vectors = 4.0 * place * direction + 0.1 * rng.normal(size=(N_QUESTIONS + 1, 8))
        scores = [3] * N_QUESTIONS + [3]
        scores[2] = 1  # question q2 is answered out of role: it must not enter
        vectors[2] += 0.0 if subject == DEFAULT else 1000.0
        made.append(write_subject(tmp_path, subject, vectors, scores))
    return made


def test_cells_hold_fully_played_extraction_rollouts_of_one_layer(sources: list[Source]) -> None:
    cells = load_cells(sources, ["cat", "wizard", DEFAULT], LAYER)
    assert list(cells) == ["cat", "wizard", DEFAULT]
    assert cells["cat"].sums.shape == (N_QUESTIONS, 1, 8)
    assert cells["cat"].counts.tolist() == [1, 1, 0, 1, 1, 1]
    assert cells[DEFAULT].counts.tolist() == [1] * N_QUESTIONS
    assert np.abs(cells["wizard"].sums).max() < 100


def test_planted_alignment_is_found_with_an_interval(sources: list[Source]) -> None:
    cells = load_cells(sources, [source.subject for source in sources], LAYER)
    found = question_intervals(cells, np.ones(8), Bootstrap(200, 1))
    assert found.low[0] <= found.estimate[0] <= found.high[0]
    assert found.low[0] > 0.95
    across = np.ones(8)
    across[0] = 1e9  # scaled out of sight: only noise is left
    assert question_intervals(cells, across, Bootstrap(200, 1)).low[0] < 0.9


def test_a_column_for_one_layer_is_null_elsewhere() -> None:
    assert nowhere_but([3, 4, 5], 4, 0.5).to_pylist() == [None, 0.5, None]
