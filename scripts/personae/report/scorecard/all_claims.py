"""All claims, in the order of the papers' steps, and the digest of what they fix."""

from __future__ import annotations

from typing import Final

from personae.report.scorecard import (
    axis_claims,
    capping_claims,
    case_claims,
    comparison_claims,
    drift_claims,
    drift_prediction_claims,
    harm_claims,
    model_claims,
    monitoring_claims,
    open_claims,
    persona_space_claims,
    reading_claims,
    steering_claims,
    susceptibility_claims,
    training_claims,
    trait_claims,
    trait_space_claims,
)
from personae.report.scorecard.claim import Claim, ClaimData, CrossClaim, OpenClaim
from personae.report.scorecard.scoring import registry_digest

_PAPERS: Final = ("AA", "PV")


def _place(claim: ClaimData | OpenClaim) -> tuple[int, int]:
    """Order by paper, then by the number that a section starts with."""
    return _PAPERS.index(claim.paper), int(claim.section.split()[0])


CLAIMS: Final[tuple[Claim, ...]] = tuple(
    sorted(
        (
            *axis_claims.CLAIMS,
            *persona_space_claims.CLAIMS,
            *trait_space_claims.CLAIMS,
            *susceptibility_claims.CLAIMS,
            *drift_claims.CLAIMS,
            *drift_prediction_claims.CLAIMS,
            *harm_claims.CLAIMS,
            *capping_claims.CLAIMS,
            *case_claims.CLAIMS,
            *trait_claims.CLAIMS,
            *steering_claims.CLAIMS,
            *monitoring_claims.CLAIMS,
            *training_claims.CLAIMS,
            *comparison_claims.CLAIMS,
            *reading_claims.CLAIMS,
        ),
        key=_place,
    )
)
CROSS_CLAIMS: Final[tuple[CrossClaim, ...]] = model_claims.CROSS_CLAIMS
OPEN_CLAIMS: Final[tuple[OpenClaim, ...]] = tuple(sorted(open_claims.OPEN_CLAIMS, key=_place))
DIGEST: Final = registry_digest((*CLAIMS, *CROSS_CLAIMS))
"""Of all claims' data; it changes when a claim is added or its rule is altered."""
