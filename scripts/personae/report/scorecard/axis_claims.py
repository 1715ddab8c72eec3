"""Claims about role vectors and the Assistant Axis (AA, steps 3 to 5)."""

from __future__ import annotations

import pandas as pd

from personae.data.table_values import DEFAULT
from personae.report.scorecard.claim import Claim, ClaimOutcome, MeasuredClaim, Untestable, point
from personae.report.scorecard.evidence import Evidence
from personae.science.resampling import Interval
from personae.science.statistics import wilson


def layers(evidence: Evidence, scaling: str) -> pd.DataFrame:
    """Rows of ``space_layers`` of one scaling, by layer."""
    rows = evidence.read("space_layers")
    return rows[rows.scaling == scaling].set_index("layer").sort_index()


def _roles_played(evidence: Evidence) -> ClaimOutcome:
    vectors = evidence.read("role_vectors", ["role", "kind"], evidence.at_middle)
    played = vectors[(vectors.kind == "fully") & (vectors.role != DEFAULT)].role.nunique()
    share = wilson(played, evidence.n_roles)
    return MeasuredClaim(share, share.low > 0.5, evidence.n_roles, detail=f"{played} roles")


def _integrity(evidence: Evidence) -> ClaimOutcome:
    rows = evidence.read("directions", ["direction", "layer", "integrity", "n_roles"])
    axis = rows[rows.direction == "axis"]
    worst = float(axis.integrity.min())
    met = worst >= 1.0 - 1e-6
    return MeasuredClaim(point(worst), met, int(axis.n_roles.iloc[0]))


def _reliability(evidence: Evidence) -> ClaimOutcome:
    middle = layers(evidence, "centred").loc[evidence.middle_layer]
    if pd.isna(middle.split_half):
        return Untestable("the axis has no split-half reliability in this study")
    value = float(middle.split_half)
    return MeasuredClaim(point(value), value > 0.8, int(middle.n_roles))


def _every_layer(evidence: Evidence) -> ClaimOutcome:
    rows = layers(evidence, "centred")
    worst = rows.loc[rows.axis_pc1_cosine.idxmin()]
    above = int((rows.axis_pc1_cosine > rows.null_p95).sum())
    return MeasuredClaim(
        Interval(worst.axis_pc1_cosine, worst.axis_pc1_low, worst.axis_pc1_high),
        bool(worst.axis_pc1_cosine > 0.60 and above == len(rows)),
        int(worst.n_roles),
        float(worst.null_p95),
        detail=f"lowest at layer {worst.name}; above the null at {above} of {len(rows)} layers",
    )


def _middle_cosine(evidence: Evidence, scaling: str, bound: float) -> ClaimOutcome:
    row = layers(evidence, scaling).loc[evidence.middle_layer]
    met = row.axis_pc1_cosine > bound and row.axis_pc1_low > row.null_p95
    return MeasuredClaim(
        Interval(row.axis_pc1_cosine, row.axis_pc1_low, row.axis_pc1_high),
        bool(met),
        int(row.n_roles),
        float(row.null_p95),
        detail=(
            f"layer {evidence.middle_layer}; interval over roles (over questions "
            f"{row.questions_low:.2f} to {row.questions_high:.2f}); {row.placebo_share:.0%} of the "
            "roles reach this value when used in place of the default Assistant"
        ),
    )


def _middle_centred(evidence: Evidence) -> ClaimOutcome:
    return _middle_cosine(evidence, "centred", 0.71)


def _middle_z_scored(evidence: Evidence) -> ClaimOutcome:
    return _middle_cosine(evidence, "z_scored", 0.60)


def _held_out_auc(evidence: Evidence) -> ClaimOutcome:
    rows = evidence.read("separation", filters=evidence.at_middle)
    rows = rows[(rows.direction == "axis") & (rows.split == "heldout")]
    if rows.empty:
        return Untestable("no responses to held-out questions were generated")
    row = rows.iloc[0]
    return MeasuredClaim(
        Interval(row.auc, row.auc_low, row.auc_high),
        bool(row.auc_low > row.null_p95),
        int(row.n_default + row.n_roles),
        float(row.null_p95),
        detail=f"{row.n_default} default and {row.n_roles} role responses",
    )


CLAIMS = (
    Claim(
        paper="AA",
        section="3 Role vectors",
        text="System prompts make a model fully play most roles.",
        statistic="Share of roles with enough fully role-playing responses for a vector",
        published="275 roles, each kept with at least 10 responses",
        criterion="the lower bound of the Wilson interval is above 0.5",
        measure=_roles_played,
    ),
    Claim(
        paper="AA",
        section="4 Assistant Axis",
        text="The axis is the default Assistant's mean minus the mean role vector.",
        statistic="Lowest cosine over layers between the saved and the recomputed axis",
        published="1 by definition",
        criterion="at least 1 - 1e-6 at every layer",
        measure=_integrity,
    ),
    Claim(
        paper="AA",
        section="4 Assistant Axis",
        text="The axis does not depend on individual questions.",
        statistic="Mean cosine of axes from halves of the questions, middle layer",
        published="not reported",
        criterion="above 0.8",
        measure=_reliability,
    ),
    Claim(
        paper="AA",
        section="5 Persona space",
        text="The axis aligns with PC 1 at every layer.",
        statistic="Lowest |cos(axis, PC 1)| over layers",
        published="> 0.60",
        criterion="above 0.60, and at every layer above the 95th percentile of shuffled labels",
        measure=_every_layer,
    ),
    Claim(
        paper="AA",
        section="5 Persona space",
        text="The axis aligns with PC 1 at the middle layer.",
        statistic="|cos(axis, PC 1)|, middle layer",
        published="> 0.71",
        criterion="above 0.71, with the interval above the 95th percentile of shuffled labels",
        measure=_middle_centred,
    ),
    Claim(
        paper="AA",
        section="5 Persona space",
        text="The alignment is not driven by a few outlier dimensions.",
        statistic="|cos(axis, PC 1)| after z-scoring, middle layer",
        published="not reported",
        criterion="above 0.60, with the interval above the 95th percentile of shuffled labels",
        measure=_middle_z_scored,
    ),
    Claim(
        paper="AA",
        section="5 Persona space",
        text="The axis separates the default Assistant from roles on held-out questions.",
        statistic="AUC of the projection, held-out questions, middle layer",
        published="not reported",
        criterion="the interval lies above the 95th percentile of shuffled labels",
        measure=_held_out_auc,
    ),
)
