"""Error rates of verdicts on simulated studies, where they are kept, and their page."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

from personae.report.scorecard import verdict_rates
from personae.report.scorecard.all_claims import CLAIMS, CROSS_CLAIMS
from personae.report.scorecard.evidence import Criteria, Evidence
from personae.report.scorecard.scoring import adjusted, registry_digest, score_claims
from personae.report.scorecard.verdict_rates import VerdictRate, rates_at, read_rates, write_rates
from personae.science.permutations import bh_adjusted, holm_adjusted
from personae.tools.verdict_calibration.least_sizes import LEAST
from personae.tools.verdict_calibration.rates_page import LEAST_NAME, rates_page
from personae.tools.verdict_calibration.simulated_steering import steering_tables
from personae.tools.verdict_calibration.simulated_traits import contrast_tables
from personae.tools.verdict_calibration.simulated_verdicts import Simulated, coverage, rates

EMPTY = Evidence("m", 0, 12, {}, Criteria(0.7, 50.0, "judge", None, 99, 0, 25))
SIZES = LEAST.at_most(roles=12, traits=3, probes=4, cases=4, simulated_talks=1)


def test_effects_are_found_more_often_than_their_absence() -> None:
    wanted = ("steering-increases-trait", "prompts-shift-trait", "drift-grows")
    claims = [claim for claim in CLAIMS if claim.id in wanted]
    found = rates(LEAST, 8, 1, claims=claims, cross=(), arms=("steering", "contrast", "drift"))
    assert set(found) == set(wanted)
    for rate in found.values():
        assert rate.false_positive <= 0.25
        assert rate.power > rate.false_positive
        assert rate.studies == 8
    assert found["prompts-shift-trait"].power == 1.0


def test_every_claim_is_simulated_and_processes_change_nothing() -> None:
    """A claim whose tables nobody simulates would be shown without error rates."""
    one, two = (rates(SIZES, 2, 0, processes=n) for n in (1, 2))
    assert one == two
    claims = {claim.id for claim in (*CLAIMS, *CROSS_CLAIMS) if claim.kind == "claim"}
    assert claims == set(one)


def test_without_an_effect_both_directions_score_alike() -> None:
    rng = np.random.default_rng(0)
    tables = [steering_tables(LEAST, 0.0, rng) for _ in range(20)]
    gaps = []
    for frames in tables:
        rows = frames["steered_scores"].merge(frames["steered_responses"], on="response_id")
        top = rows[(rows.rubric == "trait") & (rows.coefficient == 2.0)]
        means = top.groupby("direction").score.mean()
        gaps.append(means["trait"] - means["random0"])
    assert abs(np.mean(gaps)) < 3 * np.std(gaps) / np.sqrt(len(gaps)) + 1e-9
    planted = contrast_tables(LEAST, 1.0, rng)["trait_pairs"]
    assert (planted.positive - planted.negative).mean() > 35


def test_coverage_counts_intervals_that_hold_the_mean_estimate() -> None:
    made = [Simulated(False, v, v - 1.0, v + 1.0) for v in (0.0, 0.5, 1.0, 4.0)]
    made.append(Simulated(False, 99.0, math.nan, math.nan))
    found = coverage(made)
    assert found is not None
    assert found.estimate == 0.5  # of the mean 1.375, without the study that has no interval
    assert coverage(made[-1:]) is None


def test_rates_are_found_by_the_sizes_of_a_study(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verdict_rates, "RATES_FILE", tmp_path / "rates.json")
    assert rates_at({"roles": 12}) == {}
    rate = VerdictRate(100, 0.01, 0.05, 0.9, 0.8, 0.95, 0.9, 0.98, "digest")
    sizes = {"roles": 12, "coefficients": [1.0, 2.0]}
    write_rates(
        [{"study": "demo", "sizes": sizes, "registry": "x", "rates": {"a": rate._asdict()}}]
    )
    assert rates_at({"coefficients": (1.0, 2.0), "roles": 12}) == {"a": rate}
    assert rates_at({"roles": 13}) == {}
    assert json.loads((tmp_path / "rates.json").read_text())[0]["study"] == "demo"


def test_the_page_lists_every_measured_claim() -> None:
    rate = VerdictRate(100, 0.01, 0.054, 0.9, 0.8, None, None, None, "digest")._asdict()
    measured = {"study": "demo", "rates": {CLAIMS[0].id: rate, CLAIMS[3].id: rate}}
    page = rates_page([measured], CLAIMS)
    assert (
        f"| `{CLAIMS[0].id}` | {CLAIMS[0].min_clusters} | 1.0% (5.4%) | 90% (80%) | too few" in page
    )
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


def test_rates_of_a_claim_that_was_altered_since_are_not_shown() -> None:
    claim = CLAIMS[0]
    known = VerdictRate(100, 0.01, 0.05, 0.9, 0.8, None, None, None, registry_digest([claim]))
    shown = score_claims([claim], [], [EMPTY], {claim.id: known})[0]
    assert (shown["false_positive"], shown["power"]) == (0.01, 0.9)
    stale = score_claims([claim], [], [EMPTY], {claim.id: known._replace(claim="older")})[0]
    assert shown["power"] is not None
    assert stale["power"] is None


def test_shipped_rates_are_of_the_claims_as_they_are() -> None:
    """Who alters a claim measures it again: ``make calibrate-verdicts``."""
    of_claim = {claim.id: registry_digest([claim]) for claim in (*CLAIMS, *CROSS_CLAIMS)}
    measurements = read_rates()
    assert {m["study"] for m in measurements} == {LEAST_NAME, "demo", "null_control", "paper"}
    for measurement in measurements:
        for name, rate in measurement["rates"].items():
            place = f"{measurement['study']}: {name}"
            assert rate["claim"] == of_claim.get(name), f"{place} is stale"
            assert rate["studies"] >= 200, place
            assert rate["false_positive"] <= 0.05, place
            assert rate["coverage"] is None or rate["coverage_high"] > 0.92, place
