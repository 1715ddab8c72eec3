"""The alarm threshold: chosen on one half of the questions, tested on the other."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from personae.science.monitoring import Monitored
from personae.science.monitoring_alerts import alert_rows

LAYER = 3


def monitored(projection: dict[bool, float], other_half: float = 0.0) -> Monitored:
    """Return 40 questions, each once with the trait and once without.

    ``projection`` is that of rollouts with (True) and without the trait; questions of the half that
    is tested lie ``other_half`` higher.
    """
    rows, values, scores = [], [], []
    for index in range(40):
        for shown in (True, False):
            question = f"q{index:02d}"
            rows.append(
                {
                    "response_id": f"{question}-{shown}",
                    "trait": "t",
                    "kind": "system_prompt",
                    "grade": int(shown),
                    "question_id": question,
                }
            )
            noise = np.random.default_rng([index, shown]).normal(0, 0.5)
            values.append(projection[shown] + noise + other_half * (index % 2))
            scores.append(80.0 if shown else 10.0)
    projections = np.stack([np.zeros(len(rows)), values], axis=1)
    return Monitored(pd.DataFrame(rows), [1, LAYER], projections, np.array(scores), LAYER)


def test_a_separated_trait_is_caught_with_few_false_alarms() -> None:
    (row,) = alert_rows(monitored({True: 4.0, False: 0.0}), 0.05)
    assert row["layer"] == LAYER
    assert (row["n_choosing"], row["n_shown"], row["n_other"]) == (20, 20, 20)
    assert 0.0 < row["threshold"] < 2.0
    assert row["caught"] == 1.0
    assert row["false_alarms"] <= 0.15
    assert row["auc"] == pytest.approx(1.0)


def test_no_signal_gives_chance() -> None:
    (row,) = alert_rows(monitored({True: 0.0, False: 0.0}), 0.05)
    assert row["auc_low"] < 0.5 < row["auc_high"]
    assert row["caught"] < 0.5


def test_the_other_half_is_not_used_to_choose() -> None:
    """A shift of the tested half leaves the threshold and shows as false alarms."""
    (before,) = alert_rows(monitored({True: 4.0, False: 0.0}), 0.05)
    (after,) = alert_rows(monitored({True: 4.0, False: 0.0}, other_half=10.0), 0.05)
    assert after["threshold"] == before["threshold"]
    assert after["false_alarms"] == 1.0


def test_at_most_the_allowed_share_passes_the_choosing_half() -> None:
    made = monitored({True: 1.0, False: 0.0})
    (row,) = alert_rows(made, 0.10)
    first = made.rollouts.question_id.isin([f"q{i:02d}" for i in range(0, 40, 2)]).to_numpy()
    other = made.projections[first & (made.scores < 50), 1]
    assert (other > row["threshold"]).sum() == 2


def test_without_rollouts_of_either_kind_it_is_undefined() -> None:
    made = monitored({True: 1.0, False: 0.0})
    made.scores[:] = 90.0
    (row,) = alert_rows(made, 0.05)
    assert row["threshold"] is None
    assert "auc" not in row
