"""Claims about the persona spaces of several models (AA, step 5)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np
import pandas as pd

from personae.data.table_values import DEFAULT
from personae.report.scorecard.claim import CrossClaim, Finding, Outcome, Untestable
from personae.report.scorecard.evidence import Evidence
from personae.report.scorecard.expectations import Above
from personae.report.scorecard.persona_space_claims import first_component
from personae.report.wording import count
from personae.science.geometry import rsa
from personae.science.jackknife import FISHER, jackknife_interval
from personae.science.model_comparison import matched_components
from personae.science.model_pairs import COMPARED, LEAST_ROLES, centred_loadings, role_cosines
from personae.science.permutations import permutation_p


def _shared_loadings(models: Sequence[Evidence]) -> Outcome:
    frame = pd.DataFrame({e.model: first_component(e) for e in models}).drop(index=DEFAULT).dropna()
    if len(frame) < LEAST_ROLES:
        return _few_roles(len(frame))
    values, plan = frame.to_numpy(dtype=np.float64), models[0].criteria.plan
    rng = np.random.default_rng(plan.seed)
    shuffled = [np.apply_along_axis(rng.permutation, 0, values) for _ in range(plan.draws)]
    worst = _lowest_correlation(values)
    null = np.asarray([_lowest_correlation(draw) for draw in shuffled])
    left_out = [_lowest_correlation(np.delete(values, i, axis=0)) for i in range(len(values))]
    bounds = jackknife_interval(worst, left_out, FISHER)
    p, n = float(permutation_p(worst, null)), len(frame)
    return Finding(bounds, p, n, n, float(np.quantile(null, 0.95)))


def _shared_geometry(models: Sequence[Evidence]) -> Outcome:
    return _geometry(models, list(combinations(range(len(models)), 2)))


def _base_geometry(models: Sequence[Evidence]) -> Outcome:
    places = {evidence.model: place for place, evidence in enumerate(models)}
    pairs = [(places[e.model], places[e.base]) for e in models if e.base in places]
    if not pairs:
        return Untestable("no model of the study was trained from another one of it")
    return _geometry(models, pairs)


def _geometry(models: Sequence[Evidence], pairs: Sequence[tuple[int, int]]) -> Outcome:
    """RSA of the pair of models that are least alike."""
    tables = [evidence.read("role_cosines", filters=evidence.at_middle) for evidence in models]
    roles = sorted(set.intersection(*(set(rows.left) for rows in tables)) - {"assistant_axis"})
    if len(roles) < LEAST_ROLES:
        return _few_roles(len(roles))
    matrices = [role_cosines(rows, roles) for rows in tables]
    plan = models[0].criteria.plan
    compared = [
        rsa(matrices[a], matrices[b], permutations=plan.draws, seed=plan.seed) for a, b in pairs
    ]
    worst = min(compared, key=lambda found: found.interval.estimate)
    return Finding(worst.interval, worst.p, len(roles), len(roles), worst.null_high)


def _shared_components(models: Sequence[Evidence]) -> Outcome:
    tables = [centred_loadings(evidence.read("role_loadings")) for evidence in models]
    shared = len(set.intersection(*(set(table.index) for table in tables)))
    if shared < LEAST_ROLES:
        return _few_roles(shared)
    plan = models[0].criteria.plan
    found = [
        row
        for left, right in combinations(tables, 2)
        for row in matched_components(
            left, right, n_components=COMPARED, permutations=plan.draws, seed=plan.seed
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


def _few_roles(shared: int) -> Untestable:
    return Untestable(f"{count(shared, 'role')} common to all models; {LEAST_ROLES} are needed")


def _lowest_correlation(loadings: np.ndarray) -> float:
    """Lowest correlation between two models' columns of ``loadings [roles, models]``."""
    correlations = np.corrcoef(loadings, rowvar=False)
    return float(correlations[np.triu_indices(len(correlations), 1)].min())


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
        min_clusters=LEAST_ROLES,
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
        min_clusters=LEAST_ROLES,
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
        min_clusters=LEAST_ROLES,
        measure=_shared_geometry,
    ),
    CrossClaim(
        id="base-shares-geometry",
        paper="AA",
        section="5 Persona space",
        text="Role vectors have a similar geometry in a model and the base model it was trained "
        "from.",
        estimand="Lowest rank correlation between the role cosines (RSA) of a model and its base, "
        "middle layers",
        published="not reported",
        unit="roles",
        null="roles of one model relabelled",
        expect=Above(bound=0.0, smallest=0.3),
        min_clusters=LEAST_ROLES,
        measure=_base_geometry,
    ),
)
