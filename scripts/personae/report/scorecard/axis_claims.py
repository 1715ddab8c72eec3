"""Claims about role vectors and the Assistant Axis (AA, steps 3 to 5)."""

from __future__ import annotations

import functools
import math

import pandas as pd

from personae.data.table_values import DEFAULT
from personae.report.scorecard.claim import Claim, Finding, Outcome, Untestable
from personae.report.scorecard.evidence import Evidence
from personae.report.scorecard.expectations import Above
from personae.report.wording import bounds
from personae.science.heldout_roles import EVERY_ROLE
from personae.science.resampling import Interval
from personae.science.statistics import wilson

_OF_A_ROLE = 0.05
"""Level at which a role's fully played responses exceed what a judge's mistakes explain."""


def layers(evidence: Evidence, scaling: str) -> pd.DataFrame:
    """Rows of ``space_layers`` of one scaling, by layer."""
    rows = evidence.read("space_layers")
    return rows[rows.scaling == scaling].set_index("layer").sort_index()


def point(value: float) -> Interval:
    """Return a value without an interval (NaN bounds)."""
    return Interval(value, math.nan, math.nan)


def binomial_p(successes: int, n: int, share: float) -> float:
    """One-sided exact p-value of at least ``successes`` of ``n`` under a share."""
    from scipy.stats import binomtest

    return float(binomtest(successes, n, share, alternative="greater").pvalue)


def _roles_played(evidence: Evidence) -> Outcome:
    """Count roles with more fully played responses than a judge's false positives explain."""
    judge = evidence.criteria.judge
    mistaken = evidence.judge_false_high(judge, "role_adherence").high
    if math.isnan(mistaken):
        return Untestable("the judge's false positives on roles were not measured")
    columns = ["role", "kind", "n", "n_unscored"]
    rows = evidence.read("role_vectors", columns, evidence.at_middle)
    rows = rows[(rows.kind == "fully") & (rows.role != DEFAULT)]
    scored = evidence.criteria.role_rollouts - rows.n_unscored
    p = [binomial_p(int(k), int(n), mistaken) for k, n in zip(rows.n, scored, strict=True)]
    played, n = sum(value <= _OF_A_ROLE for value in p), evidence.n_roles
    return Finding(
        wilson(played, n),
        binomial_p(played, n, 0.5),
        n,
        n,
        judge=judge,
        detail=f"{played} roles have more such responses than a judge gives by mistake, who calls "
        f"up to {mistaken:.0%} of others so; {len(rows)} have enough for a vector",
    )


def _integrity(evidence: Evidence) -> Outcome:
    rows = evidence.read("directions", ["direction", "layer", "integrity", "n_roles"])
    axis = rows[rows.direction == "axis"]
    n = int(axis.n_roles.iloc[0])
    return Finding(point(float(axis.integrity.min())), None, n, n)


def _reliability(evidence: Evidence) -> Outcome:
    middle = layers(evidence, "centred").loc[evidence.middle_layer]
    if pd.isna(middle.split_half):
        return Untestable("the axis has no split-half reliability in this study")
    folds = int(middle.split_half_folds)
    bounds = Interval(middle.split_half, middle.split_half_low, middle.split_half_high)
    return Finding(bounds, float(middle.split_half_p), folds, folds)


def _every_layer(evidence: Evidence) -> Outcome:
    rows = layers(evidence, "centred")
    worst = rows.loc[rows.axis_pc1_cosine.idxmin()]
    above = int((rows.axis_pc1_cosine > rows.null_p95).sum())
    return Finding(
        Interval(worst.axis_pc1_cosine, worst.axis_pc1_low, worst.axis_pc1_high),
        float(rows.p_value.max()),
        int(worst.n_roles),
        int(worst.n_fully + worst.n_somewhat),
        float(worst.null_p95),
        detail=f"lowest at layer {worst.name}; above the null at {above} of {len(rows)} layers",
    )


def _middle_cosine(evidence: Evidence, *, scaling: str) -> Outcome:
    row = layers(evidence, scaling).loc[evidence.middle_layer]
    return Finding(
        Interval(row.axis_pc1_cosine, row.axis_pc1_low, row.axis_pc1_high),
        float(row.p_value),
        int(row.n_roles),
        int(row.n_fully + row.n_somewhat),
        float(row.null_p95),
        detail=(
            f"layer {evidence.middle_layer}; interval over roles (over questions "
            f"{bounds(row.questions_low, row.questions_high)}); {row.placebo_share:.0%} of the "
            "roles reach this value when used in place of the default Assistant"
        ),
    )


def _held_out_auc(evidence: Evidence) -> Outcome:
    rows = evidence.read("separation", filters=evidence.at_middle)
    rows = rows[(rows.direction == "axis") & (rows.split == "heldout")]
    if rows.empty:
        return Untestable("no responses to held-out questions were generated")
    row = rows.iloc[0]
    return Finding(
        Interval(row.auc, row.auc_low, row.auc_high),
        float(row.p_value),
        int(row.n_questions),
        int(row.n_default + row.n_roles),
        float(row.null_p95),
        detail=f"{row.n_default} default and {row.n_roles} role responses",
    )


def _unseen_roles(evidence: Evidence) -> Outcome:
    rows = evidence.read("heldout_roles")
    row = rows[rows.role == EVERY_ROLE].iloc[0]
    n = int(row.n_role)
    return Finding(
        Interval(row.auc, row.auc_low, row.auc_high),
        max(float(row.p_value), float(row.p_random)),
        n,
        n,
        float(row.null_p95),
        detail=f"{row.auc_with:.2f} along the axis of all roles",
    )


_SHUFFLED = "labels default/role shuffled among the responses to each question"

CLAIMS = (
    Claim(
        id="roles-are-played",
        paper="AA",
        section="3 Role vectors",
        text="System prompts make a model fully play most roles.",
        estimand="Share of roles with more fully role-playing responses than the judge's false "
        "positives explain",
        published="275 roles, each kept with at least 10 responses",
        published_size=1.0,
        unit="roles",
        null="half of the roles are played (exact binomial)",
        expect=Above(bound=0.5, smallest=0.6),
        min_clusters=8,
        judged=("role_adherence",),
        measure=_roles_played,
    ),
    Claim(
        id="axis-integrity",
        kind="check",
        paper="AA",
        section="4 Assistant Axis",
        text="The axis is the default Assistant's mean minus the mean role vector.",
        estimand="Lowest cosine over layers between the saved and the recomputed axis",
        published="1 by definition",
        unit="none",
        null="none: the stage that computes the axis refuses another one",
        expect=Above(bound=1.0 - 1e-6, smallest=1.0 - 1e-6),
        measure=_integrity,
    ),
    Claim(
        id="axis-split-half",
        paper="AA",
        section="4 Assistant Axis",
        text="The axis does not depend on individual questions.",
        estimand="Mean cosine of axes from halves of the questions, middle layer",
        published="not reported",
        unit="questions (or folds of them)",
        null="default and roles exchanged within random questions",
        expect=Above(bound=0.5, smallest=0.8),
        measure=_reliability,
    ),
    Claim(
        id="axis-pc1-every-layer",
        paper="AA",
        section="5 Persona space",
        text="The axis aligns with PC 1 at every layer.",
        estimand="Lowest |cos(axis, PC 1)| over layers",
        published="> 0.60",
        published_size=0.7,
        unit="roles",
        null=f"{_SHUFFLED}; the largest p-value of any layer",
        expect=Above(bound=0.0, smallest=0.60),
        min_clusters=8,
        measure=_every_layer,
    ),
    Claim(
        id="axis-pc1-middle-layer",
        paper="AA",
        section="5 Persona space",
        text="The axis aligns with PC 1 at the middle layer.",
        estimand="|cos(axis, PC 1)|, middle layer",
        published="> 0.71",
        published_size=0.8,
        unit="roles",
        null=_SHUFFLED,
        expect=Above(bound=0.0, smallest=0.71),
        min_clusters=8,
        measure=functools.partial(_middle_cosine, scaling="centred"),
    ),
    Claim(
        id="axis-pc1-z-scored",
        paper="AA",
        section="5 Persona space",
        text="The alignment is not driven by a few outlier dimensions.",
        estimand="|cos(axis, PC 1)| after z-scoring, middle layer",
        published="not reported",
        unit="roles",
        null=_SHUFFLED,
        expect=Above(bound=0.0, smallest=0.60),
        min_clusters=8,
        measure=functools.partial(_middle_cosine, scaling="z_scored"),
    ),
    Claim(
        id="axis-separates-held-out",
        paper="AA",
        section="5 Persona space",
        text="The axis separates the default Assistant from roles on held-out questions.",
        estimand="AUC of the projection, held-out questions, middle layer",
        published="not reported",
        unit="held-out questions",
        null=_SHUFFLED,
        expect=Above(bound=0.5, smallest=0.7),
        min_clusters=5,
        measure=_held_out_auc,
    ),
    Claim(
        id="axis-separates-unseen-roles",
        paper="AA",
        section="5 Persona space",
        text="The axis separates the default Assistant from roles that it was not made of.",
        estimand="Mean AUC over roles of the projection on the axis computed without the role, "
        "held-out questions, middle layer",
        published="not reported",
        unit="role x held-out question",
        null=f"{_SHUFFLED}; random directions, isotropic and with the stream's covariance",
        expect=Above(bound=0.5, smallest=0.7),
        min_clusters=8,
        measure=_unseen_roles,
    ),
)
