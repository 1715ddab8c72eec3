"""Measured error rates of verdicts, shipped with the project (`make calibrate-verdicts`)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

from personae.base.atomic_files import replace_atomically

RATES_FILE: Final = Path(__file__).parent / "verdict_rates.json"


class VerdictRate(NamedTuple):
    """Rates of one claim at one set of sizes, over simulated studies.

    Attributes
    ----------
    studies
        Simulated studies without the effect, and as many with it.
    false_positive, false_positive_high
        Share of the studies without the effect in which the claim was reproduced, and the upper
        Wilson bound.
    power, power_low
        Share of the studies with the published effect in which it was, and the lower bound.
    coverage, coverage_low, coverage_high
        Share of 95% intervals that hold the true value, with Wilson bounds; ``None`` if there were
        no intervals, because the sizes lie below the claim's minimum.
    claim
        Digest of the claim's data when it was simulated.
    """

    studies: int
    false_positive: float
    false_positive_high: float
    power: float
    power_low: float
    coverage: float | None
    coverage_low: float | None
    coverage_high: float | None
    claim: str


def read_rates() -> list[dict[str, Any]]:
    """Return all measurements: name, sizes, digest of the registry, and rates by claim."""
    return list(json.loads(RATES_FILE.read_text("utf-8"))) if RATES_FILE.exists() else []


def rates_at(sizes: Mapping[str, Any]) -> dict[str, VerdictRate]:
    """Return the rates by claim that were measured at a study's sizes; empty if none were."""
    wanted = json.loads(json.dumps(dict(sizes)))
    for measurement in read_rates():
        if measurement["sizes"] == wanted:
            return {claim: VerdictRate(**rate) for claim, rate in measurement["rates"].items()}
    return {}


def write_rates(measurements: list[dict[str, Any]]) -> None:
    """Write all measurements."""
    text = json.dumps(measurements, indent=1, sort_keys=True) + "\n"
    with replace_atomically(RATES_FILE) as path:
        path.write_text(text, "utf-8")
