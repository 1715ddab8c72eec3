"""Published claims without an experiment in the workflow: listed, and given no verdict.

Whoever adds the experiment removes the entry here and adds a `Claim` that reads its tables.
"""

from __future__ import annotations

from typing import Final

from personae.report.scorecard.claim import OpenClaim

OPEN_CLAIMS: Final = (
    OpenClaim(
        "AA",
        "8 Persona drift",
        "A model that has moved away from the Assistant gives more harmful responses.",
        "|r| = 0.39 to 0.52",
        "harmful questions and a harm judge",
    ),
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
    OpenClaim(
        "PV",
        "11 Interpretation",
        "Sparse-autoencoder features interpret a trait vector.",
        "interpretable",
        "a sparse autoencoder",
    ),
)
