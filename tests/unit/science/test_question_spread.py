"""Intervals over questions, from the tables of the persona space node."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from personae.data import tables
from personae.data.table_values import DEFAULT
from personae.science.persona_space import PersonaRow
from personae.science.question_spread import load_cells, question_intervals
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


NAMES = ("cat", "ghost", "pirate", "wizard")
ASSISTANT = PersonaRow(DEFAULT, DEFAULT)


@pytest.fixture
def sources(tmp_path: Path) -> list[Source]:
    """Four roles along one direction, each once somewhat in role, and a default at its end."""
    rng = np.random.default_rng(0)
    direction = np.eye(8)[0]
    made = []
    for place, subject in enumerate([*NAMES, DEFAULT]):
        vectors = 4.0 * place * direction + 0.1 * rng.normal(size=(N_QUESTIONS + 1, 8))
        scores = [3] * N_QUESTIONS + [3]
        scores[2] = 2  # question q2 is answered somewhat in role: it must not enter "fully"
        vectors[2] += 0.0 if subject == DEFAULT else 1000.0
        made.append(write_subject(tmp_path, subject, vectors, scores))
    return made


def test_cells_hold_extraction_rollouts_of_one_layer_by_kind(sources: list[Source]) -> None:
    rows = [PersonaRow("cat", "fully"), PersonaRow("wizard", "fully")]
    cells = load_cells(sources, [*rows, PersonaRow("wizard", "somewhat")], LAYER)
    assert set(cells) == {*rows, PersonaRow("wizard", "somewhat"), ASSISTANT}
    assert cells[rows[0]].sums.shape == (N_QUESTIONS, 1, 8)
    assert cells[rows[0]].counts.tolist() == [1, 1, 0, 1, 1, 1]
    assert cells[PersonaRow("wizard", "somewhat")].counts.tolist() == [0, 0, 1, 0, 0, 0]
    assert cells[ASSISTANT].counts.tolist() == [1] * N_QUESTIONS
    # Sums are relative to the default's mean, from which the cat is 16 away.
    np.testing.assert_allclose(cells[rows[0]].sums[0, 0], -16 * np.eye(8)[0], atol=1.0)
    np.testing.assert_allclose(cells[ASSISTANT].sums.sum(axis=0), 0.0, atol=1e-4)


def test_planted_alignment_is_found_with_an_interval(sources: list[Source]) -> None:
    rows = [PersonaRow(name, "fully") for name in NAMES]
    cells = load_cells(sources, rows, LAYER)
    found = question_intervals(cells, rows, np.ones((1, 8)), Bootstrap(200, 1))
    assert found.low[0] <= found.estimate[0] <= found.high[0]
    assert found.low[0] > 0.95
    across = np.ones((1, 8))
    across[0, 0] = 1e9  # scaled out of sight: only noise is left
    assert question_intervals(cells, rows, across, Bootstrap(200, 1)).low[0] < 0.9


def test_somewhat_vectors_are_in_the_components_and_not_in_the_axis(sources: list[Source]) -> None:
    fully = [PersonaRow(name, "fully") for name in NAMES]
    rows = [*fully, PersonaRow("cat", "somewhat")]
    cells = load_cells(sources, rows, LAYER)
    # The one somewhat vector lies 1000 off in every dimension: it is the first component, which
    # the axis, of the fully-role vectors, does not know.
    found = question_intervals(cells, rows, np.ones((1, 8)), Bootstrap(200, 1))
    assert found.estimate[0] == pytest.approx(1 / np.sqrt(8), abs=0.02)
