"""Screening of training data with planted projections."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from personae.science.screening import flagged_rows, summary_rows

DATASETS = {"t_normal": ("t", "normal"), "t_strong": ("t", "strong"), "mine": ("", "")}
PULL = {"t_normal": 0.0, "t_strong": 3.0, "mine": 3.0}


def planted(noise: float = 0.3) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    own = rng.normal(size=20)
    return pd.DataFrame(
        [
            {
                "dataset": dataset,
                "row": row,
                "prompt_id": f"p{row}" if dataset != "mine" else f"m{row}",
                "trait": "t",
                "layer": 4,
                # The prompt's own level cancels in the difference.
                "training": own[row] + pull + rng.normal(0, 0.5),
                "own": own[row],
                "own_first": own[row] + rng.normal(0, noise),
                "n_own": 4,
            }
            for dataset, pull in PULL.items()
            for row in range(20)
        ]
    )


def summary(**options: object) -> pd.DataFrame:
    rows = summary_rows(planted(), DATASETS, {("t", "strong", "t"): (1.5, 12.0)}, 95)
    return pd.DataFrame(rows).set_index("dataset")


def test_rows_with_the_trait_are_told_from_normal_ones() -> None:
    found = summary()
    assert found.loc["t_strong", "difference"] == pytest.approx(3.0, abs=0.4)
    assert found.loc["t_strong", "low"] < 3.0 < found.loc["t_strong", "high"] + 0.3
    assert found.loc["t_strong", "auc"] > 0.98
    assert pd.isna(found.loc["t_normal", "auc"])
    assert found.loc["t_normal", "n_flagged"] == 1  # 5% of 20


def test_what_training_then_caused_stands_beside_it() -> None:
    found = summary()
    assert (found.loc["t_strong", "shift"], found.loc["t_strong", "change"]) == (1.5, 12.0)
    assert pd.isna(found.loc["t_normal", "shift"])


def test_one_own_answer_loses_what_its_noise_is() -> None:
    found = summary()
    assert 0.6 < found.loc["t_strong", "cheap_r"] < 0.99
    rows = planted()
    lost = (rows.own_first - rows.own)[rows.dataset == "t_strong"].abs().mean()
    assert found.loc["t_strong", "cheap_error"] == pytest.approx(lost)
    assert found.loc["t_strong", "cheap_auc"] > 0.95


def test_a_user_s_file_is_flagged_against_all_normal_rows() -> None:
    flags = pd.DataFrame(flagged_rows(planted(), DATASETS, 95))
    mine = flags[flags.dataset == "mine"]
    assert mine.flagged.sum() >= 18
    assert mine.threshold.nunique() == 1


def test_without_normal_rows_nothing_can_be_flagged() -> None:
    alone = planted()
    alone = alone[alone.dataset == "mine"]
    flags = pd.DataFrame(flagged_rows(alone, DATASETS, 95))
    assert not flags.flagged.any()
    assert flags.threshold.isna().all()
    (row,) = summary_rows(alone, DATASETS, {}, 95)
    assert row["threshold"] is None
    assert row["n_flagged"] == 0
