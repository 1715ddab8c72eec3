"""Claims about tokens and features, on tables with a planted answer and without one."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from personae.report.scorecard.claim import Finding, Untestable
from personae.report.scorecard.decision import NOT_REPRODUCED, REPRODUCED, decide
from personae.report.scorecard.evidence import Criteria
from personae.report.scorecard.reading_claims import CLAIMS
from personae.science.sparse_features import SparseAutoencoder, feature_rows
from personae.tools.verdict_calibration.simulated_evidence import SimulatedEvidence

CRITERIA = Criteria(0.7, 50.0, "embedding", None, 100, 0, role_rollouts=10)
TOKENS, FEATURES = CLAIMS
TRAITS, HIDDEN, N = 8, 64, 200


def evidence(name: str, frame: pd.DataFrame) -> SimulatedEvidence:
    """Return evidence with one table."""
    return SimulatedEvidence("m", 3, 8, {}, CRITERIA, frames={name: frame})


def features(planted: float) -> pd.DataFrame:
    """Read vectors with an autoencoder of random directions, one of which each vector lies near.

    ``planted`` is its share in the difference of the responses; 0 leaves the autoencoder random.
    """
    rng = np.random.default_rng(3)
    decoder = rng.normal(size=(N, HIDDEN)).astype(np.float32)
    decoder /= np.linalg.norm(decoder, axis=1, keepdims=True)
    zeros = np.zeros
    made = SparseAutoencoder(
        np.ascontiguousarray(decoder.T), decoder, zeros(N, np.float32), zeros(HIDDEN, np.float32),
        "relu",
    )  # fmt: skip
    rows = []
    for trait in range(TRAITS):
        own = rng.normal(size=HIDDEN)
        own = own / np.linalg.norm(own) + planted * decoder[trait]
        sides = rng.normal(0, 0.1, (2, 20, HIDDEN)) + np.stack([own, -own])[:, np.newaxis]
        positive, negative = sides.astype(np.float32)
        vector = positive.mean(axis=0) - negative.mean(axis=0)
        found = feature_rows(made, vector, positive, negative, 5, trait, {})
        rows += [{"autoencoder": "sae", "trait": f"t{trait}", **row} for row in found]
    return pd.DataFrame(rows)


@pytest.mark.parametrize(("planted", "verdict"), [(1.5, REPRODUCED), (0.0, NOT_REPRODUCED)])
def test_features_interpret_a_trait_where_a_vector_lies_near_one(
    planted: float, verdict: str
) -> None:
    table = features(planted)
    found = FEATURES.measure(evidence("vector_features", table))
    assert isinstance(found, Finding)
    assert found.clusters == TRAITS
    assert decide(FEATURES, found, None).verdict == verdict
    # Both ways agree even for random directions, so that agreement would be no evidence.
    first = table[(table["rank"] == 1) & (table.side == "toward")].pivot(
        index="trait", columns="by", values="feature"
    )
    assert (first.cosine == first.activation).mean() > 0.5


def test_without_an_autoencoder_nothing_is_claimed() -> None:
    found = FEATURES.measure(evidence("vector_features", features(1.5).head(0)))
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
