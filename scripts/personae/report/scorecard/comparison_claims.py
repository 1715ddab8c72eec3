"""Claims about ways of steering: variants of vectors, and effects on other traits (PV, 5 and 7)."""

from __future__ import annotations

import numpy as np

from personae.report.scorecard.claim import Claim, Finding, Outcome, Untestable
from personae.report.scorecard.evidence import Evidence
from personae.report.scorecard.expectations import Above
from personae.report.wording import readable
from personae.science.cluster_inference import Inference, mean_of_clusters
from personae.science.group_contrast import group_contrast
from personae.science.steering_arms import VARIANT
from personae.science.steering_comparison import contrast
from personae.science.trait_geometry import NEGATIVE


def _finding(found: Inference, judge: str, detail: str = "") -> Finding:
    return Finding(
        found.interval, found.p_greater, found.clusters, found.n, judge=judge, detail=detail
    )


def _responses_beat_prompts(evidence: Evidence) -> Outcome:
    scored = evidence.read("compared_scores")
    others = {
        name: contrast(scored, VARIANT, name)
        for name in ("prompt_mean", "last_prompt")
        if name in set(scored.arm)
    }
    if not others or any(values.empty for values in others.values()):
        return Untestable("the response mean and another variant are needed, with scores")
    values = min(others.values(), key=lambda differences: float(differences.mean()))
    found = mean_of_clusters(values, values.index.to_numpy(), seed=evidence.criteria.seed)
    means = ", ".join(f"over {readable(n)} {v.mean():.1f}" for n, v in others.items())
    return _finding(found, evidence.criteria.judge, means)


def _specific(evidence: Evidence) -> Outcome:
    """Own change minus the mean absolute change of the other traits, by trait."""
    rows = evidence.read("steering_comparison")
    rows = rows[(rows.arm == VARIANT) & rows.measured.isin(rows.trait) & rows.change.notna()]
    own = rows[rows.measured == rows.trait].set_index("trait").change.astype(float)
    other = rows[rows.measured != rows.trait].assign(size=lambda r: r.change.astype(float).abs())
    means = other.groupby("trait")["size"].mean()
    values = (own - means).dropna()
    if values.empty:
        return Untestable("at least two traits are needed")
    found = mean_of_clusters(values, values.index.to_numpy(), seed=evidence.criteria.seed)
    detail = ", ".join(f"{readable(str(name))} {value:.1f}" for name, value in values.items())
    return _finding(found, evidence.criteria.judge, detail)


def _negative_family(evidence: Evidence) -> Outcome:
    """Mean cosine of pairs of negative traits, against that of their pairs with other traits."""
    rows = evidence.read("trait_pair_cosines")
    negative = [name for name in NEGATIVE if name in {*rows.left, *rows.right}]
    if len(negative) < 2:
        return Untestable(f"two of the traits {', '.join(NEGATIVE)} are needed")
    inside = rows.left.isin(negative) & rows.right.isin(negative)
    across = rows.left.isin(negative) ^ rows.right.isin(negative)
    if not across.any():
        return Untestable("other traits are needed beside the negative ones")
    cosines = rows.pivot(index="left", columns="right", values="cosine")
    every = sorted({*rows.left, *rows.right})
    wide = cosines.reindex(index=every, columns=every)
    found = group_contrast(
        wide.fillna(wide.T).fillna(1.0).to_numpy(float),
        np.isin(every, negative),
        evidence.criteria.seed,
    )
    return _finding(found, "", f"within {rows.cosine[inside].mean():.2f}")


CLAIMS = (
    Claim(
        id="response-vectors-steer-best",
        paper="PV",
        section="5 Vectors",
        text="Vectors from responses steer better than vectors from prompts.",
        estimand="Trait score with the response mean minus that of the best other variant",
        published="positive",
        unit="questions of all traits",
        null="signs of the differences flipped",
        expect=Above(bound=0.0, smallest=3.0),
        judged=("trait",),
        linear_in="trait",
        measure=_responses_beat_prompts,
    ),
    Claim(
        id="negative-traits-are-alike",
        paper="PV",
        section="12 Geometry",
        text="Vectors of negative traits are more alike than vectors of other traits.",
        estimand="Mean cosine between negative traits minus that between them and others",
        published="evil, apathetic and impolite move together",
        unit="negative traits",
        null="traits shuffled between the groups",
        expect=Above(bound=0.0, smallest=0.1),
        min_clusters=3,
        measure=_negative_family,
    ),
    Claim(
        id="steering-is-specific",
        paper="PV",
        section="7 Steering",
        text="Steering one trait changes it more than it changes the others.",
        estimand="Change of the steered trait minus mean absolute change of the others, in points",
        published="not reported",
        unit="traits",
        null="signs of the differences flipped",
        expect=Above(bound=0.0, smallest=5.0),
        judged=("trait",),
        linear_in="trait",
        measure=_specific,
    ),
)
