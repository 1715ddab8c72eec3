"""Claims about the prediction of drift from user messages (AA, step 8)."""

from __future__ import annotations

import functools
from typing import Final

from personae.report.scorecard.claim import Claim, Finding, Outcome, Untestable
from personae.report.scorecard.evidence import Evidence
from personae.report.scorecard.expectations import Above
from personae.science.resampling import Interval

_ARMS: Final = ("simulated", "replayed", "shipped")
"""The first arm that was measured decides: the paper's conversations are simulated."""


def _predicted(evidence: Evidence, *, target: str) -> Outcome:
    rows = evidence.read("drift_predictions")
    rows = rows[rows.target == target].set_index("arm")
    arm = next((name for name in _ARMS if name in rows.index), None)
    if arm is None:
        return Untestable("no arm has the four conversations that ridge regression needs")
    row = rows.loc[arm]
    return Finding(
        Interval(row.r2, row.r2_low, row.r2_high),
        float(row.p_value),
        int(row.n_conversations),
        int(row.n),
        float(row.null_p95),
        detail=f"{arm} conversations",
    )


_NULL = "messages of whole conversations dealt out to other conversations"

CLAIMS = (
    Claim(
        id="message-predicts-projection",
        paper="AA",
        section="8 Persona drift",
        text="The user's message predicts the projection of the next turn.",
        estimand="R2 of ridge regression from message embeddings, in other conversations",
        published="0.53 to 0.77",
        published_size=0.53,
        unit="conversations",
        null=_NULL,
        expect=Above(bound=0.0, smallest=0.1),
        min_clusters=8,
        measure=functools.partial(_predicted, target="projection"),
    ),
    Claim(
        id="message-predicts-change",
        paper="AA",
        section="8 Persona drift",
        text="The user's message predicts the change of the projection less well.",
        estimand="R2 of ridge regression from message embeddings to the change, in other "
        "conversations",
        published="about 0.10",
        published_size=0.1,
        unit="conversations",
        null=_NULL,
        expect=Above(bound=0.0, smallest=0.05),
        min_clusters=8,
        measure=functools.partial(_predicted, target="change"),
    ),
)
