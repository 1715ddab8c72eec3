"""Claims about tokens and features, on tables with a planted answer and without one."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from personae.report.scorecard.claim import Finding, Untestable
from personae.report.scorecard.decision import NOT_REPRODUCED, REPRODUCED, decide
from personae.report.scorecard.evidence import Criteria
from personae.report.scorecard.reading_claims import CLAIMS
from personae.science.feature_agreement import agreement_table
from personae.tools.verdict_calibration.simulated_evidence import SimulatedEvidence

CRITERIA = Criteria(0.7, 50.0, "embedding", None, 100, 0)
TOKENS, FEATURES = CLAIMS


def evidence(name: str, frame: pd.DataFrame) -> SimulatedEvidence:
    """Return evidence with one table."""
    return SimulatedEvidence("m", 3, 8, {}, CRITERIA, frames={name: frame})


def features(shared: int, seed: int = 0) -> pd.DataFrame:
    """Ten features by either way and side of eight traits, ``shared`` of them the same."""
    rng, rows = np.random.default_rng(seed), []
    for trait in range(8):
        for side in ("toward", "away"):
            close = rng.choice(2000, 10, replace=False)
            active = np.concatenate([close[:shared], rng.choice(2000, 10 - shared)])
            for by, found in (("cosine", close), ("activation", active)):
                rows += [("sae", f"t{trait}", by, side, int(feature)) for feature in found]
    return pd.DataFrame(rows, columns=["autoencoder", "trait", "by", "side", "feature"])


@pytest.mark.parametrize(("shared", "verdict"), [(4, REPRODUCED), (0, NOT_REPRODUCED)])
def test_features_interpret_a_trait_where_both_ways_agree(shared: int, verdict: str) -> None:
    found = FEATURES.measure(evidence("vector_features", features(shared)))
    assert isinstance(found, Finding)
    assert found.interval.estimate == pytest.approx(shared / 10, abs=0.02)
    assert decide(FEATURES, found, None).verdict == verdict


def test_features_that_respond_to_every_instruction_do_not_count() -> None:
    one = features(4)
    same = one[one.trait == "t0"]
    alike = pd.concat([same.assign(trait=f"t{i}") for i in range(8)])
    found = FEATURES.measure(evidence("vector_features", alike))
    assert isinstance(found, Finding)
    assert found.interval.estimate == 0.0
    assert decide(FEATURES, found, None).verdict == NOT_REPRODUCED
    assert agreement_table(alike).own.tolist() == [0.4] * 8


def test_a_single_trait_cannot_tell() -> None:
    one = features(4)
    found = FEATURES.measure(evidence("vector_features", one[one.trait == "t0"]))
    assert isinstance(found, Untestable)


@pytest.mark.parametrize(("excess", "verdict"), [(1.5, REPRODUCED), (0.9, NOT_REPRODUCED)])
def test_tokens_stand_out_where_logits_pass_the_shuffled_vectors(
    excess: float, verdict: str
) -> None:
    rng = np.random.default_rng(1)
    shared = {"side": "toward", "rank": 1, "null_p95": 4.0}
    logits = 4 * excess + rng.normal(0, 0.1, 8)
    rows = [{"direction": f"t{i}", "logit": logit, **shared} for i, logit in enumerate(logits)]
    found = TOKENS.measure(evidence("vector_tokens", pd.DataFrame(rows)))
    assert isinstance(found, Finding)
    assert found.interval.estimate == pytest.approx(excess - 1, abs=0.05)
    assert decide(TOKENS, found, None).verdict == verdict
