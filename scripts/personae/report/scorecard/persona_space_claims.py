"""Claims about persona space and trait space (AA, steps 5 and 6)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np
import pandas as pd

from personae.data.effect_tables import AXIS
from personae.data.table_values import DEFAULT
from personae.report.scorecard.axis_claims import layers
from personae.report.scorecard.claim import (
    Claim,
    ClaimOutcome,
    CrossClaim,
    MeasuredClaim,
    Untestable,
    point,
    untestable,
)
from personae.report.scorecard.evidence import Evidence
from personae.report.wording import count, listed, readable
from personae.science.alignment_nulls import isotropic_cosine
from personae.science.geometry import rsa
from personae.science.permutations import permutation_p
from personae.science.resampling import interval

AWAY_FROM_ASSISTANT = ("dramatic", "enigmatic", "mystical", "pirate_speech", "poetic", "subversive")
"""Traits with which AA describes the end of the axis away from the Assistant, and the demo's."""

_MIN_COMMON_ROLES = 8


def _dimension(evidence: Evidence) -> ClaimOutcome:
    middle = layers(evidence, "centred").loc[evidence.middle_layer]
    rows = middle.n_fully + middle.n_somewhat
    isotropic = float(np.ceil(evidence.criteria.variance_threshold * (rows - 1)))
    needed = float(middle.components_needed)
    detail = (
        f"participation ratio {middle.participation_ratio:.1f}; "
        f"{middle.n_fully} fully and {middle.n_somewhat} somewhat role vectors"
    )
    return MeasuredClaim(
        point(needed),
        needed <= isotropic / 2,
        int(middle.n_roles),
        isotropic,
        detail=detail,
    )


def _first_component(evidence: Evidence) -> pd.Series:
    """Coordinates of fully-played roles and default on PC 1 at the middle layer."""
    rows = evidence.read("space_coordinates", filters=evidence.at_middle)
    rows = rows[(rows.scaling == "centred") & (rows.kind != "somewhat")]
    rows = rows[rows.component == rows.component.min()]
    return rows.set_index("role").coordinate


def _default_at_the_edge(evidence: Evidence) -> ClaimOutcome:
    first = _first_component(evidence)
    edge = np.minimum(first - first.min(), first.max() - first) / (first.max() - first.min())
    value, typical = float(edge[DEFAULT]), float(edge.drop(index=DEFAULT).median())
    return MeasuredClaim(
        point(value),
        value <= 0.10,
        len(first) - 1,
        typical,
        detail="the null is the median role's distance",
    )


def _theatrical_traits(evidence: Evidence) -> ClaimOutcome:
    cosines = evidence.read("trait_cosines", filters=evidence.at_middle)
    along = cosines[(cosines.right == AXIS) & cosines.left.isin(AWAY_FROM_ASSISTANT)]
    if along.empty:
        return Untestable(
            f"none of {listed([readable(t) for t in AWAY_FROM_ASSISTANT])} was studied"
        )
    vectors = evidence.read("directions", ["vector"], evidence.at_middle).vector
    null = isotropic_cosine(len(vectors.iloc[0]) // 4, 0.95)
    each = [f"{readable(t)} {c:+.2f}" for t, c in zip(along.left, along.cosine, strict=True)]
    return MeasuredClaim(
        point(float(along.cosine.mean())),
        bool((along.cosine < -null).all()),
        len(along),
        -null,
        detail=", ".join(each),
    )


def _shared_loadings(models: Sequence[Evidence]) -> ClaimOutcome:
    if len(models) < 2:
        return Untestable(f"{count(len(models), 'model')} in this study; at least 2 are needed")
    frame = (
        pd.DataFrame({e.model: _first_component(e) for e in models}).drop(index=DEFAULT).dropna()
    )
    if len(frame) < _MIN_COMMON_ROLES:
        return Untestable(f"{count(len(frame), 'role')} common to all models; 8 are needed")
    values, plan = frame.to_numpy(dtype=np.float64), models[0].criteria.plan
    rng = np.random.default_rng(plan.seed)
    drawn = [values[rng.integers(len(values), size=len(values))] for _ in range(plan.draws)]
    shuffled = [np.apply_along_axis(rng.permutation, 0, values) for _ in range(plan.draws)]
    worst = _lowest_correlation(values)
    null = np.asarray([_lowest_correlation(draw) for draw in shuffled])
    bounds = interval(worst, [_lowest_correlation(draw) for draw in drawn], plan.level)
    met = worst > 0.92 and float(permutation_p(worst, null)) < 0.05
    return MeasuredClaim(bounds, met, len(frame), float(np.quantile(null, 0.95)))


def _shared_geometry(models: Sequence[Evidence]) -> ClaimOutcome:
    if len(models) < 2:
        return Untestable(f"{count(len(models), 'model')} in this study; at least 2 are needed")
    tables = [evidence.read("role_cosines", filters=evidence.at_middle) for evidence in models]
    roles = sorted(set.intersection(*(set(rows.left) for rows in tables)) - {"assistant_axis"})
    if len(roles) < _MIN_COMMON_ROLES:
        return Untestable(f"{count(len(roles), 'role')} common to all models; 8 are needed")
    matrices = [
        rows.pivot(index="left", columns="right", values="cosine").loc[roles, roles].to_numpy()
        for rows in tables
    ]
    plan = models[0].criteria.plan
    compared = [
        rsa(a, b, permutations=plan.draws, seed=plan.seed) for a, b in combinations(matrices, 2)
    ]
    worst = min(compared, key=lambda found: found.rho)
    # No interval: entries of a similarity matrix share roles, so they are not independent.
    return MeasuredClaim(point(worst.rho), worst.p < 0.05, len(roles), worst.null_high)


def _lowest_correlation(loadings: np.ndarray) -> float:
    """Lowest correlation between two models' columns of ``loadings [roles, models]``."""
    correlations = np.corrcoef(loadings, rowvar=False)
    return float(correlations[np.triu_indices(len(correlations), 1)].min())


CLAIMS = (
    Claim(
        paper="AA",
        section="5 Persona space",
        text="Persona space has few dimensions.",
        statistic="Components for 70% of the variance between roles, middle layer",
        published="4 (Gemma 2 27B), 8 (Qwen 3 32B), 19 (Llama 3.3 70B), of 275 roles",
        criterion="at most half of the number for roles without structure (the null)",
        measure=_dimension,
    ),
    Claim(
        paper="AA",
        section="5 Persona space",
        text="The default Assistant lies at one extreme of PC 1.",
        statistic="Distance of the default from the nearer end of PC 1, as a share of the range",
        published="0.03 or less",
        criterion="at most 0.10",
        measure=_default_at_the_edge,
    ),
    Claim(
        paper="AA",
        section="6 Trait space",
        text="Theatrical traits point away from the Assistant.",
        statistic="Mean cosine of theatrical traits with the axis, middle layer",
        published="negative",
        criterion="each is below the 5th percentile of isotropic directions (the null)",
        measure=_theatrical_traits,
    ),
    Claim(
        paper="AA",
        section="6 Trait space",
        text="The axis is also the main direction of a space of 240 traits.",
        statistic="|cos(axis, PC 1 of trait vectors)|",
        published="240 traits",
        criterion="above 0.60 with at least 30 traits",
        measure=untestable("it needs at least 30 traits with vectors"),
    ),
)

CROSS_CLAIMS = (
    CrossClaim(
        paper="AA",
        section="5 Persona space",
        text="Different models order the roles similarly on PC 1.",
        statistic="Lowest correlation between two models' role coordinates on PC 1",
        published="> 0.92",
        criterion="above 0.92, and above the 95th percentile of shuffled roles",
        measure=_shared_loadings,
    ),
    CrossClaim(
        paper="AA",
        section="5 Persona space",
        text="Role vectors have a similar geometry in different models.",
        statistic="Lowest rank correlation between two models' role cosines (RSA), middle layers",
        published="not reported",
        criterion="above the 95th percentile of relabelled roles (the null)",
        measure=_shared_geometry,
    ),
)
