"""Claims about persona space and trait space (AA, steps 5 and 6)."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from personae.data.table_values import DEFAULT
from personae.report.scorecard.axis_claims import layers
from personae.report.scorecard.claim import Claim, Finding, Outcome, Untestable
from personae.report.scorecard.evidence import Evidence
from personae.report.scorecard.expectations import Below
from personae.report.wording import listed, readable
from personae.science.cluster_inference import mean_of_clusters
from personae.science.permutations import permutation_p
from personae.science.resampling import Interval
from personae.science.statistics import wilson

AWAY_FROM_ASSISTANT = ("dramatic", "enigmatic", "mystical", "pirate_speech", "poetic", "subversive")
"""Traits with which AA describes the end of the axis away from the Assistant, and the demo's."""


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


def first_component(evidence: Evidence) -> pd.Series:
    """Coordinates of fully-played roles and default on PC 1 at the middle layer."""
    rows = evidence.read("space_coordinates", filters=evidence.at_middle)
    rows = rows[(rows.scaling == "centred") & (rows.kind != "somewhat")]
    rows = rows[rows.component == rows.component.min()]
    return rows.set_index("role").coordinate


def _default_at_the_edge(evidence: Evidence) -> Outcome:
    first = first_component(evidence)
    beyond = np.minimum(first.rank() - 1, len(first) - first.rank())
    default, others = int(beyond[DEFAULT]), beyond.drop(index=DEFAULT)
    n = len(others)
    p = float(permutation_p(default, others.to_numpy(), "less"))
    spread = float(first.max() - first.min())
    nearest = min(first[DEFAULT] - first.min(), first.max() - first[DEFAULT]) / spread
    detail = f"{default} roles beyond it; {nearest:.0%} of the range from the nearer end"
    return Finding(wilson(default, n), p, n, n, detail=detail)


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
        null="roles shuffled among the responses to each question, median over shuffles",
        expect=Below(bound=0.75, smallest=0.75),
        min_clusters=8,
        measure=_dimension,
    ),
    Claim(
        id="default-at-the-edge",
        paper="AA",
        section="5 Persona space",
        text="The default Assistant lies at one extreme of PC 1.",
        estimand="Share of the roles that lie beyond the default, at the nearer end of PC 1",
        published="within 0.03 of the range from the end",
        published_size=0.0,
        unit="roles",
        null="each role takes the place of the default; with fewer than 79 roles p cannot be 0.025",
        expect=Below(bound=0.25, smallest=0.05),
        min_clusters=79,
        alpha=0.025,
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
