"""Error rates of verdicts on simulated studies, where they are kept, and their page."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from personae.report.scorecard import verdict_rates
from personae.report.scorecard.all_claims import CLAIMS
from personae.report.scorecard.scoring import adjusted
from personae.report.scorecard.verdict_rates import VerdictRate, rates_at, write_rates
from personae.science.permutations import bh_adjusted, holm_adjusted
from personae.tools.verdict_calibration.rates_page import rates_page
from personae.tools.verdict_calibration.simulated_tables import contrast_tables, steering_tables
from personae.tools.verdict_calibration.simulated_verdicts import rates
from personae.workflow.claim_sizes import Sizes

SIZES = Sizes(
    roles=12, traits=3, pairs=3, contrast_questions=4, steered_questions=4,
    coefficients=(-1.0, 0.0, 1.0, 2.0), random_directions=1, conditions=4, monitored_questions=6,
    capped_roles=5, capped_questions=5, conversations=6, turns=2, settings=2, closed=16,
    neutral_prompts=5, neutral_questions=5, domains=6,
)  # fmt: skip


def test_effects_are_found_more_often_than_their_absence() -> None:
    wanted = ("steering-increases-trait", "prompts-shift-trait", "drifting-moves-away")
    claims = [claim for claim in CLAIMS if claim.id in wanted]
    found = rates(SIZES, claims, studies=8, seed=1)
    assert set(found) == set(wanted)
    for rate in found.values():
        assert rate.false_positive <= 0.25
        assert rate.power > rate.false_positive
        assert rate.studies == 8
    assert found["prompts-shift-trait"].power == 1.0


def test_claims_about_tables_that_are_not_simulated_have_no_rates() -> None:
    geometry = [claim for claim in CLAIMS if claim.id == "axis-pc1-middle-layer"]
    assert rates(SIZES, geometry, studies=1, seed=0) == {}


def test_without_an_effect_both_directions_score_alike() -> None:
    rng = np.random.default_rng(0)
    tables = [steering_tables(SIZES, 0.0, rng) for _ in range(20)]
    gaps = []
    for frames in tables:
        rows = frames["steered_scores"].merge(frames["steered_responses"], on="response_id")
        top = rows[(rows.rubric == "trait") & (rows.coefficient == 2.0)]
        means = top.groupby("direction").score.mean()
        gaps.append(means["trait"] - means["random0"])
    assert abs(np.mean(gaps)) < 3 * np.std(gaps) / np.sqrt(len(gaps)) + 1e-9
    planted = contrast_tables(SIZES, 1.0, rng)["trait_pairs"]
    assert (planted.positive - planted.negative).mean() > 35


def test_rates_are_found_by_the_sizes_of_a_study(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verdict_rates, "RATES_FILE", tmp_path / "rates.json")
    assert rates_at({"roles": 12}) == {}
    rate = VerdictRate(100, 0.01, 0.05, 0.9, 0.8, 0.95)
    sizes = {"roles": 12, "coefficients": [1.0, 2.0]}
    write_rates(
        [{"study": "demo", "sizes": sizes, "registry": "x", "rates": {"a": rate._asdict()}}]
    )
    assert rates_at({"coefficients": (1.0, 2.0), "roles": 12}) == {"a": rate}
    assert rates_at({"roles": 13}) == {}
    assert json.loads((tmp_path / "rates.json").read_text())[0]["study"] == "demo"


def test_the_page_lists_every_measured_claim() -> None:
    rate = VerdictRate(100, 0.01, 0.054, 0.9, 0.8, None)._asdict()
    measured = {"study": "demo", "rates": {CLAIMS[0].id: rate, CLAIMS[3].id: rate}}
    page = rates_page([measured], CLAIMS)
    assert f"| `{CLAIMS[0].id}` | {CLAIMS[0].min_clusters} | 1.0% (5.4%) | 90% (80%) | none" in page
    assert "0.02 of 2 claims" in page


def test_adjusted_p_values_agree_with_their_definitions() -> None:
    p = [0.01, 0.04, 0.03, 0.005]
    assert holm_adjusted(p) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert bh_adjusted(p) == pytest.approx([0.02, 0.04, 0.04, 0.02])
    rows = [
        {"claim": str(i), "model": "m", "kind": "claim", "verdict": "reproduced", "p": value}
        for i, value in enumerate([*p, None])
    ]
    found = adjusted(rows)
    assert [row["p_holm"] for row in found][:4] == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert found[4]["p_holm"] is None
