"""The page docs/verdicts.md: how verdicts are made, and how often they are wrong."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from personae.report.scorecard.claim import Claim

_HEAD = """# Verdicts and their error rates

A claim is data (`scripts/personae/report/scorecard`): its estimand, unit of resampling, null,
smallest size of interest and minimum of units are fixed before the results. One rule decides all.

- *Reproduced* needs the interval and the null: the estimate reaches the smallest size of interest,
  the 95% interval lies beyond the bound and beyond what the null reaches, and p is at most 0.05.
- *Not reproduced* needs an interval that excludes every size of interest, or a null whose median
  does as well as the data.
- *Inconclusive*: anything else, too few units, or a judge whose AUC on the labelled set does not
  have its lower bound above 0.75.

The tables are written by `make calibrate-verdicts`, which simulates whole studies at a study's own
sizes, with effects of questions, roles and conversations, bounded scores and judge error, and lets
the scorecard judge them. *False* is the share of studies without any effect in which the claim was
reproduced (in brackets the upper 95% Wilson bound), *power* the share of studies with the published
effect in which it was (lower bound), *coverage* the share of 95% intervals that hold the true
value. Claims about the geometry of role vectors are not simulated: their p-values come from
permutations of the data themselves.
"""


def rates_page(measurements: Sequence[dict[str, Any]], claims: Sequence[Claim]) -> str:
    """Return the page as Markdown, one table per measured study."""
    return _HEAD + "".join(_table(measurement, claims) for measurement in measurements)


def _table(measurement: dict[str, Any], claims: Sequence[Claim]) -> str:
    found = measurement["rates"]
    shown = [claim for claim in claims if claim.id in found]
    studies = max((rate["studies"] for rate in found.values()), default=0)
    by_chance = sum(found[claim.id]["false_positive"] for claim in shown)
    lines = [
        f"\n## Sizes of the study `{measurement['study']}`\n",
        f"{studies:,} simulated studies without and with the effects. Without any effect, "
        f"{by_chance:.2f} of {len(shown)} claims are reproduced in a study by chance.\n",
        "| Claim | Units needed | False | Power | Coverage |",
        "|---|---|---|---|---|",
    ]
    for claim in shown:
        rate = found[claim.id]
        coverage = "none given" if rate["coverage"] is None else f"{rate['coverage']:.1%}"
        lines.append(
            f"| `{claim.id}` | {claim.min_clusters} | {rate['false_positive']:.1%} "
            f"({rate['false_positive_high']:.1%}) | {rate['power']:.0%} ({rate['power_low']:.0%}) "
            f"| {coverage} |"
        )
    return "\n".join(lines) + "\n"
