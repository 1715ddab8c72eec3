"""Intervals over questions, from the tables of the persona space node."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from personae.data import tables
from personae.data.activation_blocks import Block
from personae.data.table_values import DEFAULT
from personae.science.kept_rollouts import KeptRollouts, load_sample, spread_over
from personae.science.persona_space import PersonaRow
from personae.science.question_spread import load_question_sums, question_intervals

LAYER = 1
N_QUESTIONS = 6


def write_subject(folder: Path, subject: str, vectors: np.ndarray, kinds: list[str]) -> str:
    """Write what is kept of a subject: all rollouts at one layer, two at the layer before it."""
    ids = [f"{subject}-{i}" for i in range(len(vectors))]
    kept = KeptRollouts(
        dict(zip(ids, kinds, strict=True)),
        {key: f"q{i}" for i, key in enumerate(ids)},
        dict.fromkeys(ids, "extraction"),
        spread_over(ids, 2),
        {LAYER},
    )
    both = np.stack([0 * vectors, vectors], axis=1).astype(np.float32)
    kept.add(Block("response_mean", ids, [0, LAYER], both))
    path = str(folder / f"{subject}.parquet")
    tables.write(kept.table(), path, "kept_activations", {})
    return path


NAMES = ("cat", "ghost", "pirate", "wizard")
ASSISTANT = PersonaRow(DEFAULT, DEFAULT)


@pytest.fixture
def kept(tmp_path: Path) -> dict[str, str]:
    """Four roles along one direction, each once somewhat in role, and a default at its end."""
    rng = np.random.default_rng(0)
    direction = np.eye(8)[0]
    made = {}
    for place, subject in enumerate([*NAMES, DEFAULT]):
        vectors = 4.0 * place * direction + 0.1 * rng.normal(size=(N_QUESTIONS, 8))
        kinds = [DEFAULT if subject == DEFAULT else "fully"] * N_QUESTIONS
        if subject != DEFAULT:  # question q2 is answered somewhat in role: no part of "fully"
            kinds[2] = "somewhat"
            vectors[2] += 1000.0
        made[subject] = write_subject(tmp_path, subject, vectors, kinds)
    return made


def test_sampled_rollouts_are_read_at_layers_and_the_others_are_not(kept: dict[str, str]) -> None:
    found = load_sample(kept, [0, LAYER])
    assert found.activations.shape == (2 * 5, 2, 8)
    assert found.subjects.tolist() == [name for name in (*NAMES, DEFAULT) for _ in range(2)]
    assert found.questions.tolist() == ["q0", "q5"] * 5
    assert not found.activations[:, 0].any()
    # Float16 keeps three digits of the largest number, which is the place along the direction.
    np.testing.assert_allclose(found.activations[6:8, 1, 0], 12.0, atol=0.5)
    np.testing.assert_array_equal(load_sample(kept, [LAYER]).activations, found.at(1).activations)


def test_sums_hold_rollouts_of_one_layer_by_kind(kept: dict[str, str], tmp_path: Path) -> None:
    rows = [PersonaRow("cat", "fully"), PersonaRow("wizard", "somewhat")]
    with load_question_sums(kept, rows, LAYER, tmp_path) as found:
        assert found.counts[:, 0].tolist() == [1] * N_QUESTIONS
        assert found.counts[:, 1].tolist() == [1, 1, 0, 1, 1, 1]
        assert found.counts[:, 2].tolist() == [0, 0, 1, 0, 0, 0]
        (block,) = found.blocks()
        # Sums are relative to the default's mean, from which the cat is 16 away.
        np.testing.assert_allclose(block.sums[1, 0], -16 * np.eye(8)[0], atol=1.0)
        np.testing.assert_allclose(block.sums[0].sum(axis=0), 0.0, atol=1e-4)
        assert not block.sums[2, :2].any()
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(
        Path(path).name for path in kept.values()
    )


def test_planted_alignment_is_found_with_an_interval(kept: dict[str, str], tmp_path: Path) -> None:
    rows = [PersonaRow(name, "fully") for name in NAMES]
    every, across = np.ones(4, dtype=bool), np.ones(8)
    across[0] = 1e9  # scaled out of sight: only noise is left
    with load_question_sums(kept, rows, LAYER, tmp_path) as sums:
        found = question_intervals(sums, every, np.ones(8))
        assert question_intervals(sums, every, across).low[0] < 0.9
    assert found.low[0] <= found.estimate[0] <= found.high[0]
    assert found.low[0] > 0.95


def test_somewhat_vectors_are_in_the_components_and_not_in_the_axis(
    kept: dict[str, str], tmp_path: Path
) -> None:
    fully = [PersonaRow(name, "fully") for name in NAMES]
    rows = [*fully, PersonaRow("cat", "somewhat")]
    in_axis = np.arange(5) < 4
    # The one somewhat vector lies 1000 off in every dimension: it is the first component, which
    # the axis, of the fully-role vectors, does not know.
    with load_question_sums(kept, rows, LAYER, tmp_path) as sums:
        found = question_intervals(sums, in_axis, np.ones(8))
    assert found.estimate[0] == pytest.approx(1 / np.sqrt(8), abs=0.02)
