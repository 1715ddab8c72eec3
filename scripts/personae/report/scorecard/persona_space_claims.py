"""Claims about persona space and trait space (AA, steps 5 and 6)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from personae.data.table_values import DEFAULT
from personae.report.scorecard.axis_claims import layers, point
from personae.report.scorecard.claim import Claim, CrossClaim, Finding, Outcome, Untestable
from personae.report.scorecard.evidence import Evidence
from personae.report.scorecard.expectations import Above, Below
from personae.report.wording import count, listed, readable
from personae.science.cluster_inference import mean_of_clusters
from personae.science.geometry import rsa
from personae.science.model_comparison import matched_components
from personae.science.permutations import permutation_p
from personae.science.resampling import Interval, interval

AWAY_FROM_ASSISTANT = ("dramatic", "enigmatic", "mystical", "pirate_speech", "poetic", "subversive")
"""Traits with which AA describes the end of the axis away from the Assistant, and the demo's."""

_MIN_COMMON_ROLES = 8

_COMPARED = 3
"""Leading components that are compared between models; AA interprets three."""


def _dimension(evidence: Evidence) -> Outcome:
    middle = layers(evidence, "centred").loc[evidence.middle_layer]
    detail = (
        f"{middle.components_needed} components; participation ratio "
        f"{middle.participation_ratio:.1f}; "
        f"{middle.n_fully} fully and {middle.n_somewhat} somewhat role vectors"
    )
    if pd.isna(middle.components_share):
        return Untestable("roles were not shuffled within questions at the middle layer")
    share = Interval(
        middle.components_share, middle.components_share_low, middle.components_share_high
    )
    n, rows = int(middle.n_roles), int(middle.n_fully + middle.n_somewhat)
    return Finding(share, None, n, rows, detail=detail)


def _first_component(evidence: Evidence) -> pd.Series:
    """Coordinates of fully-played roles and default on PC 1 at the middle layer."""
    rows = evidence.read("space_coordinates", filters=evidence.at_middle)
    rows = rows[(rows.scaling == "centred") & (rows.kind != "somewhat")]
    rows = rows[rows.component == rows.component.min()]
    return rows.set_index("role").coordinate


def _default_at_the_edge(evidence: Evidence) -> Outcome:
    first = _first_component(evidence)
    edge = np.minimum(first - first.min(), first.max() - first) / (first.max() - first.min())
    value, others = float(edge[DEFAULT]), edge.drop(index=DEFAULT)
    p = float(permutation_p(value, others.to_numpy(), "less"))
    n = len(others)
    return Finding(Interval(value, value, value), p, n, n, detail="p is the default's rank")


def _theatrical_traits(evidence: Evidence) -> Outcome:
    """Cosine of every theatrical trait with an axis that no role of its own name is part of."""
    columns = ["trait", "variant", "vector"]
    traits = evidence.read("trait_vectors", columns, evidence.at_middle)
    traits = traits[(traits.variant == "response_mean") & traits.trait.isin(AWAY_FROM_ASSISTANT)]
    if traits.empty:
        return Untestable(
            f"none of {listed([readable(t) for t in AWAY_FROM_ASSISTANT])} was studied"
        )
    roles = evidence.read("role_vectors", ["role", "kind", "vector"], evidence.at_middle)
    roles = roles[roles.kind.isin(("fully", DEFAULT))].set_index("role").vector.map(_numbers)
    cosines = pd.Series(
        {
            str(row.trait): _cosine(_numbers(row.vector), _axis_without(roles, str(row.trait)))
            for row in traits.itertuples()
        }
    ).dropna()
    found = mean_of_clusters(cosines, cosines.index)
    each = ", ".join(f"{readable(str(t))} {c:+.2f}" for t, c in cosines.items())
    return Finding(found.interval, found.p_less, found.clusters, found.n, detail=each)


def _numbers(vector: bytes) -> NDArray[np.float64]:
    return np.frombuffer(vector, "<f4").astype(np.float64)


def _axis_without(roles: pd.Series, trait: str) -> NDArray[np.float64]:
    """Axis of all roles but those that a trait is named after: pirate speech and the pirate."""
    others = [r for r in roles.index if r != DEFAULT and trait[:4] != str(r)[:4]]
    if not others:
        return np.zeros_like(roles[DEFAULT])
    return np.asarray(roles[DEFAULT] - np.mean(roles[others].tolist(), axis=0), dtype=np.float64)


def _cosine(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    lengths = float(np.linalg.norm(a) * np.linalg.norm(b))
    return float(a @ b) / lengths if lengths else float("nan")


def _shared_loadings(models: Sequence[Evidence]) -> Outcome:
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
    p, n = float(permutation_p(worst, null)), len(frame)
    return Finding(bounds, p, n, n, float(np.quantile(null, 0.95)))


def _shared_geometry(models: Sequence[Evidence]) -> Outcome:
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
    return Finding(point(worst.rho), worst.p, len(roles), len(roles), worst.null_high)


def _shared_components(models: Sequence[Evidence]) -> Outcome:
    if len(models) < 2:
        return Untestable(f"{count(len(models), 'model')} in this study; at least 2 are needed")
    tables = []
    for evidence in models:
        rows = evidence.read("role_loadings")
        rows = rows[(rows.scaling == "centred") & (rows.kind == "fully")]
        tables.append(rows.pivot(index="role", columns="component", values="loading"))
    shared = len(set.intersection(*(set(table.index) for table in tables)))
    if shared < _MIN_COMMON_ROLES:
        return Untestable(f"{count(shared, 'role')} common to all models; 8 are needed")
    plan = models[0].criteria.plan
    found = [
        row
        for left, right in combinations(tables, 2)
        for row in matched_components(
            left, right, n_components=_COMPARED, permutations=plan.draws, plan=plan
        )
    ]
    worst = min(found, key=lambda row: row.correlation.estimate)
    each = [f"PC {row.component + 1} {row.correlation.estimate:.2f}" for row in found]
    return Finding(
        worst.correlation,
        max(row.p_value for row in found),
        worst.n_roles,
        worst.n_roles,
        worst.null_p95,
        detail=", ".join(each),
    )


def _lowest_correlation(loadings: np.ndarray) -> float:
    """Lowest correlation between two models' columns of ``loadings [roles, models]``."""
    correlations = np.corrcoef(loadings, rowvar=False)
    return float(correlations[np.triu_indices(len(correlations), 1)].min())


CLAIMS = (
    Claim(
        id="few-components",
        paper="AA",
        section="5 Persona space",
        text="Persona space has few dimensions.",
        estimand="Components for 70% of the variance between fully played roles, middle layer, "
        "as a share of those that shuffled roles need",
        published="4 (Gemma 2 27B), 8 (Qwen 3 32B), 19 (Llama 3.3 70B), of 275 roles",
        unit="roles",
        null="roles shuffled among the responses to each question; the interval is over shuffles",
        expect=Below(bound=0.75, smallest=0.75),
        min_clusters=8,
        measure=_dimension,
    ),
    Claim(
        id="default-at-the-edge",
        paper="AA",
        section="5 Persona space",
        text="The default Assistant lies at one extreme of PC 1.",
        estimand="Distance of the default from the nearer end of PC 1, as a share of the range",
        published="0.03 or less",
        published_size=0.03,
        unit="roles",
        null="each role takes the place of the default; with fewer than 39 roles p cannot be 0.05",
        expect=Below(bound=0.5, smallest=0.10),
        min_clusters=39,
        measure=_default_at_the_edge,
    ),
    Claim(
        id="theatrical-traits-point-away",
        paper="AA",
        section="6 Trait space",
        text="Theatrical traits point away from the Assistant.",
        estimand="Mean cosine of theatrical traits with the axis of the other roles (a trait named "
        "after a role is held against an axis without it), middle layer",
        published="negative",
        unit="traits",
        null="the signs of traits flipped",
        expect=Below(bound=0.0, smallest=-0.1),
        measure=_theatrical_traits,
    ),
)

CROSS_CLAIMS = (
    CrossClaim(
        id="models-share-pc1",
        paper="AA",
        section="5 Persona space",
        text="Different models order the roles similarly on PC 1.",
        estimand="Lowest correlation between two models' role coordinates on PC 1",
        published="> 0.92",
        published_size=0.95,
        unit="roles",
        null="roles shuffled in every model",
        expect=Above(bound=0.0, smallest=0.92),
        min_clusters=_MIN_COMMON_ROLES,
        measure=_shared_loadings,
    ),
    CrossClaim(
        id="models-share-components",
        paper="AA",
        section="5 Persona space",
        text="Different models have the same leading components of persona space.",
        estimand="Lowest |correlation| of role loadings on the first three components with those "
        "on the best matching one of another model, middle layers",
        published="interpreted alike",
        unit="roles",
        null="roles of one model shuffled; the best match is chosen again",
        expect=Above(bound=0.0, smallest=0.5),
        min_clusters=_MIN_COMMON_ROLES,
        measure=_shared_components,
    ),
    CrossClaim(
        id="models-share-geometry",
        paper="AA",
        section="5 Persona space",
        text="Role vectors have a similar geometry in different models.",
        estimand="Lowest rank correlation between two models' role cosines (RSA), middle layers",
        published="not reported",
        unit="roles",
        null="roles of one model relabelled",
        expect=Above(bound=0.0, smallest=0.3),
        min_clusters=_MIN_COMMON_ROLES,
        measure=_shared_geometry,
    ),
)
