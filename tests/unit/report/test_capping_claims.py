"""A cap cannot take from a model what it never had: claims about capability that could not fail."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from personae.report.scorecard.all_claims import CLAIMS
from personae.report.scorecard.claim import Finding, Outcome, Untestable
from personae.report.scorecard.evidence import Criteria
from personae.science.capability import capability_changes
from personae.tools.verdict_calibration.simulated_evidence import SimulatedEvidence

ITEMS = 60


def outcome(claim: str, share: float) -> Outcome:
    """Measure a claim where the model answers a share of the items, with and without a cap."""
    right = np.arange(ITEMS) < share * ITEMS
    arms = [("none", "", np.nan), ("axis", "20-24", 25.0)]
    answers = pd.concat(
        [
            pd.DataFrame(
                {"direction": d, "band": b, "percentile": p, "kind": "facts", "correct": right}
            ).assign(item=range(ITEMS))
            for d, b, p in arms
        ]
    )
    frames = {
        "capability_changes": pd.DataFrame(capability_changes(answers)),
        "capping_costs": answers.assign(measure="closed_accuracy", value=answers.correct * 1.0),
    }
    criteria = Criteria(0.7, 50.0, "judge", None, 99, 0, 25)
    measure = next(one for one in CLAIMS if one.id == claim).measure
    return measure(SimulatedEvidence("m", 0, 12, {}, criteria, frames=frames))


@pytest.mark.parametrize(
    ("claim", "without", "ability"),
    [("capping-keeps-exact-answers", 0.0, 0.6), ("capping-keeps-accuracy", 0.25, 0.8)],
)
def test_a_model_without_an_ability_cannot_keep_it(
    claim: str, without: float, ability: float
) -> None:
    able, unable = outcome(claim, ability), outcome(claim, without)
    assert isinstance(able, Finding)
    assert able.interval.low < able.interval.estimate == 0.0
    assert isinstance(unable, Untestable)
    assert f"{without:.0%} of the answers are right" in unable.reason
