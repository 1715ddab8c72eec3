"""Claims about what trait vectors stand for: tokens and features (PV, step 11)."""

from __future__ import annotations

import pandas as pd

from personae.report.scorecard.claim import Claim, Finding, Outcome, Untestable
from personae.report.scorecard.evidence import Evidence
from personae.report.scorecard.expectations import Above
from personae.science.cluster_inference import mean_of_clusters
from personae.science.sparse_features import COSINE
from personae.science.token_reading import TOWARD


def _features_stand_out(evidence: Evidence) -> Outcome:
    """How much closer a vector is to its closest feature than its shuffles are to theirs.

    Features that respond to the trait's own responses would be no evidence: the vector is the
    difference of these responses, so that any set of directions, random ones too, would pass.
    """
    rows = evidence.read("vector_features")
    first = rows[(rows.by == COSINE) & (rows.side == TOWARD) & (rows["rank"] == 1)]
    first = first[first.null_p95 > 0]
    if first.empty:
        return Untestable("no autoencoder read a trait vector")
    alone = int((~first.duplicated(["autoencoder", "feature"], keep=False)).sum())
    detail = f"{alone} of {len(first)} closest features are those of one trait alone"
    return _beyond(evidence, first.value, first.null_p95, first.trait, detail)


def _tokens_stand_out(evidence: Evidence) -> Outcome:
    rows = evidence.read("vector_tokens")
    first = rows[(rows.side == TOWARD) & (rows["rank"] == 1) & (rows.direction != "axis")]
    first = first[first.null_p95 > 0]
    if first.empty:
        return Untestable("no trait vector was read")
    return _beyond(evidence, first.logit, first.null_p95, first.direction)


def _beyond(
    evidence: Evidence, values: pd.Series, null: pd.Series, traits: pd.Series, detail: str = ""
) -> Finding:
    """Largest values over what 95% of shuffled vectors reach, minus 1; a mean over traits."""
    found = mean_of_clusters(values / null - 1.0, traits, seed=evidence.criteria.seed)
    return Finding(found.interval, found.p_greater, found.clusters, found.n, detail=detail)


_SHUFFLED = "sign flips over traits; each vector against its own shuffled coordinates"

CLAIMS = (
    Claim(
        id="vectors-read-as-tokens",
        paper="PV",
        section="11 Interpretation",
        text="Through the model's own head, trait vectors raise tokens further than chance does.",
        estimand="Largest logit of a trait vector over what 95% of shuffled vectors reach, minus 1",
        published="not reported",
        unit="traits",
        null=_SHUFFLED,
        expect=Above(bound=0.0, smallest=0.1),
        measure=_tokens_stand_out,
    ),
    Claim(
        id="features-interpret-traits",
        paper="PV",
        section="11 Interpretation",
        text="Sparse-autoencoder features interpret a trait vector.",
        estimand="Largest cosine of a trait vector with a feature over what 95% of shuffled "
        "vectors reach, minus 1",
        published="interpretable",
        unit="traits",
        null=_SHUFFLED,
        expect=Above(bound=0.0, smallest=0.1),
        min_clusters=5,
        measure=_features_stand_out,
    ),
)
