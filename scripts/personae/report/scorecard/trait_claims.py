"""Claims about trait vectors and their rollouts (PV, steps 2 to 5)."""

from __future__ import annotations

import pandas as pd

from personae.data.effect_tables import POOLED
from personae.report.scorecard.axis_claims import binomial_p
from personae.report.scorecard.claim import Claim, Finding, Outcome, Untestable
from personae.report.scorecard.evidence import Evidence, NoTraitKeptError
from personae.report.scorecard.expectations import Above
from personae.report.wording import readable
from personae.science.cluster_inference import mean_of_clusters
from personae.science.reliability import RELIABILITY
from personae.science.resampling import lowest
from personae.science.statistics import wilson


def _by_trait(values: pd.Series, digits: int = 2) -> str:
    """Format one value per trait; ``values`` is indexed by slug."""
    known = values.astype(float).dropna()
    return ", ".join(f"{readable(str(trait))} {v:.{digits}f}" for trait, v in known.items())


def _judge_accuracy(evidence: Evidence) -> Outcome:
    rows = evidence.read("agreement")
    of_traits = (rows.rubric == "trait") & (rows.target == POOLED) & (rows.n > 0)
    rows = rows[of_traits & (rows.judge == evidence.criteria.judge)]
    if rows.empty:
        return Untestable("the judge was not evaluated on labelled trait responses")
    n = int(rows.n.iloc[0])
    right = round(float(rows.accuracy.iloc[0]) * n)
    return Finding(wilson(right, n), binomial_p(right, n, 0.5), n, n, judge=evidence.criteria.judge)


def _contrast(evidence: Evidence) -> Outcome:
    pairs = evidence.read("trait_pairs")
    gap = pairs.positive - pairs.negative
    found = mean_of_clusters(gap, pairs.trait + "/" + pairs.question_id)
    return Finding(
        found.interval,
        found.p_greater,
        found.clusters,
        found.n,
        judge=evidence.criteria.judge,
        detail=_by_trait(gap.groupby(pairs.trait).mean(), 0),
    )


def _effective(evidence: Evidence) -> Outcome:
    pairs = evidence.read("trait_pairs")
    share = pairs.effective.astype(float)
    found = mean_of_clusters(share, pairs.trait + "/" + pairs.question_id, bound=0.25)
    return Finding(
        found.interval,
        found.p_greater,
        found.clusters,
        found.n,
        judge=evidence.criteria.judge,
        detail=_by_trait(share.groupby(pairs.trait).mean()) + _dropped(evidence, pairs),
    )


def _dropped(evidence: Evidence, pairs: pd.DataFrame) -> str:
    """Name the traits that have no vector, with what the filter kept of them."""
    try:
        kept = set(evidence.read("trait_vectors", ["trait"]).trait)
    except NoTraitKeptError:
        kept = set()
    found = [
        f"{readable(str(trait))} ({rows.n_kept.sum():.0f} of {len(rows)} kept)"
        for trait, rows in pairs.groupby("trait")
        if trait not in kept
    ]
    return f"; dropped by the filter: {', '.join(found)}" if found else ""


def _kept_traits(evidence: Evidence) -> Outcome:
    pairs = evidence.read("trait_pairs")
    strong = ((pairs.positive - pairs.negative) >= 50).groupby(pairs.trait).sum()
    kept, n = int((strong >= 10).sum()), len(strong)
    return Finding(
        wilson(kept, n),
        binomial_p(kept, n, 0.5),
        n,
        len(pairs),
        judge=evidence.criteria.judge,
        detail=", ".join(f"{readable(str(trait))} {m} pairs" for trait, m in strong.items()),
    )


def _reliability(evidence: Evidence) -> Outcome:
    columns = ["trait", "variant", "layer", *RELIABILITY]
    rows = evidence.read("trait_vectors", columns, evidence.at_middle)
    rows = rows[(rows.variant == "response_mean") & rows.split_half.notna()].set_index("trait")
    if rows.empty:
        return Untestable("the vectors have too few questions for split halves")
    return Finding(
        lowest(rows, "split_half"),
        float(rows.split_half_p.max()),
        int(rows.split_half_folds.min()),
        int(rows.split_half_folds.sum()),
        detail=_by_trait(rows.split_half),
    )


CLAIMS = (
    Claim(
        id="judge-agrees-with-labels",
        paper="PV",
        section="3 Judge",
        text="The judge agrees with human labels on whether a trait is present.",
        estimand="Accuracy (trait present or not) on labelled responses, held-out questions",
        published="0.947 (GPT-4.1-mini)",
        published_size=0.947,
        unit="labelled responses",
        null="accuracy of one half (exact binomial)",
        expect=Above(bound=0.5, smallest=0.85),
        min_clusters=40,
        measure=_judge_accuracy,
    ),
    Claim(
        id="prompts-shift-trait",
        paper="PV",
        section="2 Rollouts",
        text="Positive and negative system prompts increase and decrease a trait.",
        estimand="Trait score under positive minus negative prompts, 0-100",
        published="not reported",
        unit="trait x question, positive and negative paired",
        null="sign flips",
        expect=Above(bound=0.0, smallest=20.0),
        judged=("trait",),
        linear_in="trait",
        measure=_contrast,
    ),
    Claim(
        id="pairs-are-effective",
        paper="PV",
        section="4 Filter",
        text="Enough prompt pairs are effective for extracting vectors.",
        estimand="Share of (pair, question) kept: positive >= 50 > negative, both coherent",
        published="not reported",
        unit="trait x question",
        null="a quarter of the pairs: each side on the right side of 50 by chance",
        expect=Above(bound=0.25, smallest=0.4),
        judged=("trait", "coherence"),
        measure=_effective,
    ),
    Claim(
        id="traits-can-be-elicited",
        paper="AA",
        section="6 Trait space",
        text="Most traits can be elicited.",
        estimand="Share of traits with at least 10 pairs that differ by 50 or more",
        published="240 traits kept",
        published_size=0.9,
        unit="traits",
        null="half of the traits (exact binomial)",
        expect=Above(bound=0.5, smallest=0.6),
        min_clusters=8,
        judged=("trait",),
        measure=_kept_traits,
    ),
    Claim(
        id="trait-split-half",
        paper="PV",
        section="5 Vectors",
        text="Trait vectors do not depend on individual questions.",
        estimand="Lowest split-half cosine over traits, response-mean vectors, middle layer",
        published="not reported",
        unit="questions (or folds of them) of every trait",
        null="positive and negative exchanged within random questions",
        expect=Above(bound=0.0, smallest=0.5),
        measure=_reliability,
    ),
)
