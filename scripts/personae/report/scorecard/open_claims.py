"""Published claims without an experiment in the workflow: listed, and given no verdict.

Whoever adds the experiment removes the entry here and adds a `Claim` that reads its tables.
"""

from __future__ import annotations

from typing import Final

from personae.report.scorecard.claim import OpenClaim

OPEN_CLAIMS: Final = (
    OpenClaim(
        "AA",
        "10 Capping evaluation",
        "Capping preserves scores on IFEval, MMLU-Pro, GSM8K and EQ-Bench.",
        "no loss",
        "the benchmarks",
    ),
    OpenClaim(
        "PV",
        "10 Data screening",
        "Projection differences predict which training data induce a trait.",
        "positive",
        "enough fine-tuned models to correlate data with effects",
    ),
)
