"""Claims about what trait vectors stand for: tokens and features (PV, step 11)."""

from __future__ import annotations

from personae.report.scorecard.claim import Claim, Finding, Outcome, Untestable
from personae.report.scorecard.evidence import Evidence
from personae.report.scorecard.expectations import Above
from personae.science.cluster_inference import mean_of_clusters
from personae.science.feature_agreement import agreement_table
from personae.science.token_reading import TOWARD


def _features_agree(evidence: Evidence) -> Outcome:
    found = agreement_table(evidence.read("vector_features"))
    found = found[found.other.notna()]
    if found.empty:
        return Untestable("an autoencoder and at least two traits are needed")
    # A trait that several autoencoders read is one trait.
    values = found.own - found.other
    inferred = mean_of_clusters(values, found.trait, seed=evidence.criteria.seed)
    return Finding(
        inferred.interval,
        inferred.p_greater,
        inferred.clusters,
        inferred.n,
        detail=f"own {found.own.mean():.2f}, of other traits {found.other.mean():.2f}",
    )


def _tokens_stand_out(evidence: Evidence) -> Outcome:
    rows = evidence.read("vector_tokens")
    first = rows[(rows.side == TOWARD) & (rows["rank"] == 1) & (rows.direction != "axis")]
    first = first[first.null_p95.notna()]
    if first.empty:
        return Untestable("no trait vector was read")
    values = first.logit / first.null_p95 - 1.0
    found = mean_of_clusters(values, first.direction, seed=evidence.criteria.seed)
    return Finding(found.interval, found.p_greater, found.clusters, found.n)


CLAIMS = (
    Claim(
        id="vectors-read-as-tokens",
        paper="PV",
        section="11 Interpretation",
        text="Through the model's own head, trait vectors raise tokens further than chance does.",
        estimand="Largest logit of a trait vector over what 95% of shuffled vectors reach, minus 1",
        published="not reported",
        unit="traits",
        null="sign flips over traits; each vector against its own shuffled coordinates",
        expect=Above(bound=0.0, smallest=0.1),
        measure=_tokens_stand_out,
    ),
    Claim(
        id="features-interpret-traits",
        paper="PV",
        section="11 Interpretation",
        text="Sparse-autoencoder features interpret a trait vector.",
        estimand="Share of a vector's closest features that respond most to its own prompts, minus "
        "that share with other traits' prompts",
        published="interpretable",
        unit="traits",
        null="sign flips over traits",
        expect=Above(bound=0.0, smallest=0.1),
        min_clusters=5,
        measure=_features_agree,
    ),
)
