"""The scorecard as the page shows it: headlines, counts of verdicts, claims by paper."""

from __future__ import annotations

from collections import Counter
from typing import Any, Final

import pandas as pd

from personae.report.scorecard.decision import REPRODUCED, VERDICTS
from personae.report.wording import count

_LEVEL: Final = 0.05
PAPERS: Final = {
    "AA": "The Assistant Axis (Lu et al., arXiv 2601.10387)",
    "PV": "Persona Vectors (Chen et al., arXiv 2507.21509)",
}

HEADLINES: Final = (
    "axis-separates-held-out",
    "axis-pc1-middle-layer",
    "steering-increases-trait",
    "last-token-predicts-trait",
    "drifting-moves-away",
    "capping-reduces-role-play",
    "capping-keeps-accuracy",
)
"""Claims that the page states first, one of every step of the papers."""


def headlines(scorecard: pd.DataFrame) -> dict[str, list[Any]]:
    """Return the first claims by model, without those that the study cannot test."""
    rows = scorecard[scorecard.claim.isin(HEADLINES) & scorecard.value.notna()]
    order = rows.claim.map({claim: place for place, claim in enumerate(HEADLINES)})
    ordered = rows.assign(place=order).sort_values("place", kind="stable")
    return {str(model): list(own.itertuples()) for model, own in ordered.groupby("model")}


def claims_by_paper(scorecard: pd.DataFrame) -> list[tuple[str, list[tuple[str, list[Any]]]]]:
    """Group the scorecard by paper and section, in the order of the steps."""
    step = scorecard.section.str.split().str[0].astype(int)
    ordered = scorecard.assign(step=step).sort_values("step", kind="stable")
    papers = []
    for paper, title in PAPERS.items():
        rows = ordered[ordered.paper == paper]
        sections = [
            (str(s), list(part.itertuples())) for s, part in rows.groupby("section", sort=False)
        ]
        papers.append((title, sections))
    return papers


def multiplicity(scorecard: pd.DataFrame) -> list[str]:
    """Say how many verdicts chance explains, and how many survive adjustment, per model."""
    lines = []
    for model, rows in scorecard[scorecard.kind == "claim"].groupby("model"):
        found = rows[rows.verdict == REPRODUCED]
        if found.empty:
            continue
        tested = rows[rows.p.notna()]
        line = (
            f"{model}: of {count(len(found), 'reproduced claim')}, "
            f"{(found.p_holm <= _LEVEL).sum()} keep p \N{LESS-THAN OR EQUAL TO} 0.05 with the "
            f"family-wise error held over the {len(tested)} tested claims, and "
            f"{(found.p_bh <= _LEVEL).sum()} with the false discovery rate held"
        )
        simulated = rows.false_positive.notna()
        if simulated.any():
            line += (
                ". In a study of these sizes without any effect "
                f"{rows.false_positive.sum():.2f} of {int(simulated.sum())} simulated claims would "
                "be reproduced by chance"
            )
        lines.append(f"{line}.")
    return lines


def verdict_counts(scorecard: pd.DataFrame) -> list[tuple[str, str, int]]:
    """Return each verdict with its CSS class and its number of claims."""
    found = Counter(scorecard.verdict)
    return [(verdict, verdict.replace(" ", "-"), found[verdict]) for verdict in VERDICTS]
