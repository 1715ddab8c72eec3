"""The choice of a layer: resampled questions, questions left out, cheap selectors, equal doses."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from personae.data import tables
from personae.data.vector_columns import from_matrix
from personae.rollouts.steered_rollouts import equal_doses
from personae.science.layer_choice import choice_rows, choose, swept_layers
from personae.science.resampling import Bootstrap

PLAN = Bootstrap(400, 1)
LAYERS = (4, 8, 12)
SELECTORS = pd.DataFrame(
    {
        "layer": LAYERS,
        "dose_per_coefficient": [0.1, 0.2, 0.3],
        "separation_auc": [0.6, 0.9, 0.7],  # in the order of the gains
        "norm_ratio": [0.1, 0.2, 0.3],
        "logit_effect": [3.0, 1.0, 2.0],  # in the opposite order
    }
)


def swept(gains: dict[int, list[float]], coherence: dict[int, float]):  # type: ignore[no-untyped-def]
    """Arrange planted gains by layer over questions; the unsteered arm scores 20."""
    rows, traits, coherent = [], {}, {}
    n = len(next(iter(gains.values())))
    for layer, coefficient, values in [
        (LAYERS[0], 0.0, [0.0] * n),
        *((layer, 2.0, values) for layer, values in gains.items()),
    ]:
        for index, value in enumerate(values):
            name = f"{layer}-{coefficient}-{index}"
            traits[name] = 20 + value
            coherent[name] = 90.0 if coefficient == 0 else coherence[layer]
            rows.append(
                {
                    "response_id": name,
                    "layer": layer,
                    "coefficient": coefficient,
                    "question_id": f"q{index}",
                }
            )
    return swept_layers(pd.DataFrame(rows), traits, coherent)


FIRM = {4: [5.0] * 6, 8: [40.0, 38, 42, 41, 39, 40], 12: [20.0] * 6}
GOOD = dict.fromkeys(LAYERS, 80.0)


def test_a_clear_winner_is_always_chosen_and_keeps_its_gain() -> None:
    rows = {r["layer"]: r for r in choice_rows("t", swept(FIRM, GOOD), SELECTORS, 50, PLAN)}
    assert [rows[layer]["chosen"] for layer in LAYERS] == [False, True, False]
    assert rows[8]["share"] == 1.0
    assert rows[8]["gain"] == pytest.approx(40.0)
    assert rows[8]["heldout_gain"] == pytest.approx(40.0)
    assert rows[8]["dose"] == pytest.approx(0.4)
    assert rows[8]["agree_separation_auc"] == pytest.approx(1.0)
    assert rows[8]["agree_norm_ratio"] == pytest.approx(0.5)
    assert rows[8]["agree_logit_effect"] == pytest.approx(-1.0)


def test_a_choice_by_chance_loses_its_gain_on_other_questions() -> None:
    """Every layer has the same mean; the winner only had luck with its questions."""
    rng = np.random.default_rng(3)
    lost, shares = [], []
    for _ in range(30):
        noise = {layer: list(rng.normal(0, 20, 6)) for layer in LAYERS}
        rows = choice_rows("t", swept(noise, GOOD), SELECTORS, 50, PLAN._replace(draws=100))
        won = next(row for row in rows if row["chosen"])
        lost.append(won["gain"] - won["heldout_gain"])
        shares.append(won["share"])
    assert np.mean(lost) > 4
    assert np.mean(shares) < 0.9


def test_an_incoherent_layer_is_not_chosen_whatever_it_gains() -> None:
    rows = choice_rows("t", swept(FIRM, {**GOOD, 8: 30.0}), SELECTORS, 50, PLAN)
    assert {row["layer"] for row in rows if row["chosen"]} == {12}
    # Where none is coherent, the most coherent one is taken.
    rows = choice_rows("t", swept(FIRM, {4: 10.0, 8: 30.0, 12: 20.0}), SELECTORS, 50, PLAN)
    assert {row["layer"] for row in rows if row["chosen"]} == {8}


def test_weights_choose_by_their_questions_alone() -> None:
    made = swept({4: [50.0, 0], 8: [0.0, 60], 12: [1.0, 1]}, GOOD)
    assert made.layers[choose(made, np.array([1.0, 0.0]), 50)] == 4
    assert made.layers[choose(made, np.array([0.0, 1.0]), 50)] == 8


def test_unscored_responses_are_no_gains() -> None:
    nothing = {layer: [np.nan] * 3 for layer in LAYERS}
    rows = choice_rows("t", swept(nothing, GOOD), SELECTORS, 50, PLAN)
    assert not any(row["chosen"] for row in rows)
    assert {row["gain"] for row in rows} == {None}


def test_equal_doses_have_the_same_length_at_every_layer(tmp_path: Path) -> None:
    vectors = np.array([[3.0, 4.0], [6.0, 8.0], [0.0, 2.0]], dtype=np.float32)
    lengths = np.linalg.norm(vectors, axis=1)
    rows = {
        "trait": ["t"] * 3,
        "variant": ["response_mean"] * 3,
        "layer": np.array([0, 1, 2], np.int16),
        "selection": ["rows"] * 3,
        "n_cells": np.array([1] * 3, np.int32),
        "norm": lengths.astype(float),
        "split_half": [0.5] * 3,
        "split_half_low": [0.3] * 3,
        "split_half_high": [0.7] * 3,
        "split_half_p": [0.01] * 3,
        "split_half_folds": np.array([8] * 3, np.int32),
        "vector": from_matrix(vectors),
    }
    import pyarrow as pa

    table = tables.assemble([pa.table(rows)], "trait_vectors")
    tables.write(table, tmp_path / "vectors.parquet", "trait_vectors", {})
    norms = {0: 50.0, 1: 80.0, 2: 100.0}
    made = equal_doses(str(tmp_path / "vectors.parquet"), norms, [0, 1, 2], [0.2])
    assert made[0].coefficient == 0
    for setting in made[1:]:
        moved = setting.coefficient * lengths[setting.layer]
        assert moved == pytest.approx(0.2 * norms[setting.layer], rel=1e-3)
